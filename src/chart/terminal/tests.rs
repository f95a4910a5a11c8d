use super::bars::SHADES;
use super::*;
use crate::chart::model::{Appearance, Cell, Layer, Role, Row, StateLabels};
use crate::job::{Theme, ValueScale};

fn chart(labels: &[&str], marks: Marks) -> Figure {
    let categories = labels.iter().map(|label| Category {
        label: (*label).to_owned(),
        group: String::new(),
        state: DataState::Settled,
        note: String::new(),
    });
    Figure {
        appearance: Appearance {
            width: 1600,
            height: 900,
            scale: 1.0,
            theme: Theme::Light,
        },
        title: String::new(),
        badge: String::new(),
        subtitle: String::new(),
        x_label: String::new(),
        y_label: String::new(),
        unit: String::new(),
        categories: categories.collect(),
        marks,
        are_names: false,
        y_scale: ValueScale::Linear,
        earlier: None,
        state_labels: StateLabels {
            no_data: "no data".to_owned(),
            provisional: "provisional".to_owned(),
        },
        sources: Default::default(),
        footer: String::new(),
    }
}

fn layer(name: &str, values: &[Option<f64>]) -> Layer {
    Layer {
        name: name.to_owned(),
        role: Role::Main,
        values: values.to_vec(),
    }
}

#[test]
fn bars_are_in_proportion_and_zero_has_none() {
    let values = [Some(0.0), Some(1.0), Some(1600.0), None, Some(800.0)];
    let mut chart = chart(
        &["00", "01", "02", "03", "04"],
        Marks::Bars(vec![layer("", &values)]),
    );
    chart.categories[4].state = DataState::Provisional;
    let expected = "\
\x20 00      0
  01      1  ▏
  02  1,600  ████████████████
  03      –  ╱╱╱
  04    800  ████████ ?
  ? provisional  ╱ no data
";
    assert_eq!(draw(&chart, 29), expected);
}

#[test]
fn parts_of_a_bar_have_their_shades_and_all_are_visible() {
    let errors = Layer {
        role: Role::Errors,
        ..layer("errors", &[Some(1.0), Some(0.0)])
    };
    let rest = layer("rest", &[Some(99.0), Some(50.0)]);
    let drawn = draw(&chart(&["00", "01"], Marks::Bars(vec![errors, rest])), 31);
    let expected = "\
\x20 ▒ errors  █ rest
  00  100  ▒███████████████████
  01   50  ██████████
";
    assert_eq!(drawn, expected);
}

#[test]
fn many_parts_stay_in_their_room_and_have_shades_of_their_own() {
    let layers: Vec<Layer> = (0..13)
        .map(|part| layer(&format!("a-service-{part}"), &[Some(1.0), Some(20.0)]))
        .collect();
    let drawn = draw(&chart(&["00", "01"], Marks::Bars(layers)), 80);
    let widest = drawn.lines().map(UnicodeWidthStr::width).max();
    assert!(widest <= Some(80), "{drawn}");
    let bars: Vec<&str> = drawn.lines().rev().take(2).collect();
    assert!(
        SHADES.iter().all(|shade| bars[0].contains(*shade)),
        "{drawn}"
    );
    let cells = bars[1].chars().filter(|c| SHADES.contains(c)).count();
    assert_eq!(cells, 3, "a twentieth of the highest: {drawn}");
}

#[test]
fn a_log_does_not_control_the_terminal() {
    let text = "a\u{1b}[2Jb\nc\u{7}";
    let layers = || vec![layer(text, &[Some(1.0)]), layer("other", &[Some(2.0)])];
    let rows = vec![Row {
        label: text.to_owned(),
        note: text.to_owned(),
        cells: vec![Cell::Value(1.0)],
    }];
    for marks in [
        Marks::Bars(layers()),
        Marks::Lines(layers()),
        Marks::Cells(rows),
    ] {
        let drawn = draw(&chart(&[text], marks), 80);
        assert!(!drawn.contains(['\u{1b}', '\u{7}']), "{drawn:?}");
        assert!(
            drawn.lines().all(|line| !line.starts_with('c')),
            "{drawn:?}"
        );
    }
}

#[test]
fn a_line_is_an_area_and_several_are_small_ones() {
    let values = [Some(0.0), Some(40.0), Some(80.0), None];
    let one = chart(
        &["00", "01", "02", "03"],
        Marks::Lines(vec![layer("", &values)]),
    );
    let drawn = draw(&one, 20);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "  80 ┤      ███");
    assert_eq!(lines[7], "   0 ┤▁▁▁██████╱╱╱");
    assert_eq!(lines[8], "      00 01 02 03");
    let several = Marks::Lines(vec![layer("p50", &values), layer("p95", &values)]);
    let drawn = draw(&chart(&["00", "01", "02", "03"], several), 20);
    assert_eq!(drawn.lines().count(), 6, "{drawn}");
    assert!(
        drawn.contains("p50 ┤") && drawn.contains("p95 ┤"),
        "{drawn}"
    );
}

#[test]
fn a_heatmap_is_denser_where_there_is_more() {
    let cells = vec![
        Cell::Value(0.0),
        Cell::Value(1.0),
        Cell::Value(100.0),
        Cell::Missing,
        Cell::Absent,
        Cell::Provisional(60.0),
    ];
    let grid = Marks::Cells(vec![Row {
        label: "11-21 (토)".to_owned(),
        note: String::new(),
        cells,
    }]);
    let drawn = draw(&chart(&["00", "01", "02", "03", "04", "05"], grid), 30);
    let expected = "\
\x20 11-21 (토)  ··░░██╱╱  ▓?
              00  02  04
              0 ·░▒▓██ 100
              ? provisional  ╱ no data
";
    assert_eq!(drawn, expected, "{drawn}");
}

#[test]
fn wide_labels_line_up_and_many_rows_are_cut() {
    let values = [Some(1.0), Some(1.0)];
    let text = draw(
        &chart(&["주문", "a"], Marks::Bars(vec![layer("", &values)])),
        40,
    );
    let columns: Vec<usize> = text
        .lines()
        .map(|line| line.split('█').next().unwrap().width())
        .collect();
    assert_eq!(columns[0], columns[1]);
    let many = chart(&["x"; 80], Marks::Bars(vec![layer("", &[Some(1.0); 80])]));
    assert!(draw(&many, 40).ends_with("  … and 30 more\n"));
    assert_eq!(draw(&chart(&[], Marks::Bars(vec![])), 40), "");
    let long = cut_all(&["가".repeat(30)]);
    assert_eq!(long[0].width(), 23);
}

/// Samples of a common scale: a small line beside a large one is small.
#[test]
fn several_lines_have_one_scale_and_say_so() {
    let info = layer("INFO", &[Some(41_748.0), Some(20_000.0)]);
    let error = layer("ERROR", &[Some(3_415.0), Some(0.0)]);
    let drawn = draw(&chart(&["00", "01"], Marks::Lines(vec![info, error])), 60);
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(
        lines[0].starts_with("  41,748 ┤") && lines[2].starts_with("  41,748 ┤"),
        "{drawn}"
    );
    assert!(
        lines[1].starts_with("    INFO ┤") && lines[1].ends_with("max 41,748"),
        "{drawn}"
    );
    assert!(
        lines[3].starts_with("   ERROR ┤") && lines[3].ends_with("max 3,415"),
        "{drawn}"
    );
    assert!(
        lines[2].ends_with('┤'),
        "a line that is low has no upper half: {drawn}"
    );
}

#[test]
fn negative_bars_are_drawn_to_the_left_of_zero() {
    let values = [Some(30.0), Some(-10.0), Some(0.0)];
    let mut figure = chart(&["a", "b", "c"], Marks::Bars(vec![layer("", &values)]));
    let drawn = draw(&figure, 30);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "  a   30       │███████████████");
    assert_eq!(lines[1], "  b  −10  █████│");
    assert_eq!(lines[2], "  c    0       │");
    // Parts of both signs.
    let other = layer("other", &[Some(-5.0), Some(-5.0), None]);
    figure.marks = Marks::Bars(vec![layer("one", &values), other]);
    let drawn = draw(&figure, 60);
    assert!(
        drawn.lines().skip(1).all(|line| line.contains('│')),
        "{drawn}"
    );
}

#[test]
fn negative_values_of_a_line_have_their_place() {
    let values = [Some(-40.0), Some(0.0), Some(40.0)];
    let drawn = draw(
        &chart(&["0", "1", "2"], Marks::Lines(vec![layer("", &values)])),
        20,
    );
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(
        lines[0].starts_with("   40 ┤") && lines[7].starts_with("  −40 ┤"),
        "{drawn}"
    );
    assert!(
        lines[4].contains('█') && !lines[3].trim_end().contains("┤    ████"),
        "{drawn}"
    );
}

#[test]
fn a_logarithmic_line_keeps_small_values_visible() {
    let values = [Some(12.0), Some(30.0), Some(10_000.0)];
    let mut figure = chart(&["0", "1", "2"], Marks::Lines(vec![layer("", &values)]));
    let heights = |figure: &Figure| -> usize {
        let drawn = draw(figure, 20);
        drawn
            .lines()
            .filter(|line| {
                line.split('┤')
                    .nth(1)
                    .is_some_and(|cells| !cells.starts_with(' '))
            })
            .count()
    };
    let linear = heights(&figure);
    figure.y_scale = ValueScale::Log;
    let drawn = draw(&figure, 20);
    assert!(drawn.contains("      10 ┤"), "{drawn}");
    let second = |drawn: &str| {
        drawn
            .lines()
            .filter(|line| line.chars().nth(15) == Some('█'))
            .count()
    };
    assert!(second(&drawn) >= 1 && linear == 1, "{drawn}");
}

#[test]
fn names_that_share_a_beginning_stay_different() {
    let names = ["api", "web", "worker"]
        .map(|name| format!("/aws/lambda/acme-prod-checkout-{name}-handler"));
    let labels: Vec<&str> = names.iter().map(String::as_str).collect();
    let drawn = draw(
        &chart(&labels, Marks::Bars(vec![layer("", &[Some(1.0); 3])])),
        80,
    );
    let shown: Vec<&str> = drawn
        .lines()
        .map(|line| line[..line.find("  1").unwrap()].trim())
        .collect();
    assert!(
        shown[0] != shown[1] && shown[1] != shown[2] && shown[0] != shown[2],
        "{drawn}"
    );
}
