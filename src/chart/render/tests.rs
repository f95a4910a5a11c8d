use proptest::prelude::*;

use super::*;
use crate::chart::model::*;
use crate::job::{Theme, ValueScale};

fn category(label: &str) -> Category {
    Category {
        label: label.to_owned(),
        group: String::new(),
        state: DataState::Settled,
        note: String::new(),
    }
}

fn layer(role: Role, values: impl IntoIterator<Item = Option<f64>>) -> Layer {
    Layer {
        name: format!("{role:?}"),
        role,
        values: values.into_iter().collect(),
    }
}

fn bars(values: impl IntoIterator<Item = Option<f64>>) -> Figure {
    chart(Marks::Bars(vec![layer(Role::Main, values)]))
}

fn line(values: impl IntoIterator<Item = Option<f64>>) -> Figure {
    chart(Marks::Lines(vec![layer(Role::Main, values)]))
}

fn chart(marks: Marks) -> Figure {
    let categories = match &marks {
        Marks::Cells(rows) => rows.first().map_or(0, |row| row.cells.len()),
        other => other.layers()[0].values.len(),
    };
    Figure {
        appearance: Appearance {
            width: 1600,
            height: 900,
            scale: 1.0,
            theme: Theme::Light,
        },
        title: "checkout · 2026-11-21 (토) · KST".to_owned(),
        badge: String::new(),
        subtitle: "12,345 events".to_owned(),
        x_label: "hour".to_owned(),
        y_label: "events".to_owned(),
        unit: String::new(),
        categories: (0..categories)
            .map(|hour| category(&format!("{hour:02}")))
            .collect(),
        marks,
        earlier: None,
        are_names: false,
        y_scale: ValueScale::Linear,
        state_labels: StateLabels {
            no_data: "no data".to_owned(),
            provisional: "provisional".to_owned(),
        },
        sources: Sources {
            names: vec!["/aws/lambda/checkout-api".to_owned()],
            more: String::new(),
        },
        footer: "settled · logtally 0.1.0".to_owned(),
    }
}

/// 24 hours, all different, the highest at 23:00.
fn day() -> Vec<Option<f64>> {
    (0..24)
        .map(|hour| Some(f64::from(hour * hour * 20 + 60)))
        .collect()
}

/// The texts in the picture.
fn texts(chart: &Figure) -> Vec<String> {
    let svg = chart.to_svg().expect("drawing in memory");
    let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
    document
        .descendants()
        .filter_map(|node| node.attribute("aria-label").map(str::to_owned))
        .collect()
}

/// How many elements of this name have this fill.
fn count(chart: &Figure, name: &str, fill: &str) -> usize {
    let svg = chart.to_svg().expect("drawing in memory");
    let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
    let elements = document.descendants();
    elements
        .filter(|node| node.has_tag_name(name) && node.attribute("fill") == Some(fill))
        .count()
}

const ACCENT: &str = "#2f6db5";
const AXIS: &str = "#9ca3af";

#[test]
fn png_has_its_size_and_title_and_is_always_the_same() {
    let chart = bars(day());
    let png = chart.to_png().expect("drawing in memory");
    assert_eq!(chart.to_png().expect("drawing in memory"), png);

    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    let info = reader.info();
    assert_eq!((info.width, info.height), (1600, 900));
    assert_eq!(
        (info.color_type, info.bit_depth),
        (png::ColorType::Rgb, png::BitDepth::Eight)
    );
    let title = &info.utf8_text[0];
    assert_eq!(
        (title.keyword.as_str(), title.get_text().expect("text")),
        ("Title", chart.title.clone())
    );
    assert_eq!(pixels[..3], [0xff; 3], "a white corner");
    assert!(
        pixels
            .chunks_exact(3)
            .any(|pixel| pixel == [0x2f, 0x6d, 0xb5]),
        "bars"
    );
}

#[test]
fn svg_says_its_texts_without_depending_on_a_font() {
    let chart = Figure {
        title: "a < b & \"c\"\u{1}".to_owned(),
        ..line(day())
    };
    let svg = chart.to_svg().expect("drawing in memory");
    assert_eq!(chart.to_svg().expect("drawing in memory"), svg);
    let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
    let text_of = |name| {
        document
            .descendants()
            .find(|node| node.has_tag_name(name))
            .and_then(|node| node.text())
    };
    assert_eq!(text_of("title"), Some("a < b & \"c\""));
    assert_eq!(text_of("desc"), Some("12,345 events"));
    assert!(!svg.contains("<text") && !svg.contains("font"));
}

#[test]
fn long_names_never_push_out_the_footer() {
    let name = |end: char| format!("/aws/{}/{end}", "very-long-name-".repeat(5));
    let facts = "2026-11-21 00:00 KST to 2026-11-22 00:00 KST · as of 2026-11-22 10:02 KST · provisional · NOT VERIFIED: 1,200 counted, 1,300 expected · logtally 0.1.0";
    for (width, height) in [(1600, 900), (800, 450), (480, 270)] {
        let mut chart = bars(day());
        (chart.appearance.width, chart.appearance.height) = (width, height);
        chart.sources = Sources {
            names: ['a', 'b', 'c'].map(name).to_vec(),
            more: " and 2 more".to_owned(),
        };
        chart.footer = facts.to_owned();
        let all = texts(&chart).join(" · ");
        assert!(all.contains(facts), "{width}: {all}");
        let is_low = height < 340;
        for end in ["/a, ", "/b, ", "/c and 2 more"] {
            assert!(is_low || all.contains(end), "{width}: {all}");
        }
    }
}

#[test]
fn a_legend_has_all_of_its_names() {
    let names: Vec<String> = (0..12)
        .map(|n| format!("/aws/lambda/checkout-service-of-production-{n:02}-handler"))
        .collect();
    for (width, height) in [(1600, 900), (700, 500)] {
        let layers = (0..).zip(&names).map(|(place, name)| Layer {
            name: name.clone(),
            ..layer(Role::Series(place), [Some(5.0), Some(3.0)])
        });
        let mut stack = chart(Marks::Bars(layers.collect()));
        (stack.appearance.width, stack.appearance.height) = (width, height);
        stack.categories[1].state = DataState::Provisional;
        let texts = texts(&stack);
        assert!(texts.contains(&"provisional".to_owned()), "{texts:?}");
        let named: BTreeSet<&String> = texts.iter().filter(|text| text.contains("dler")).collect();
        assert_eq!(named.len(), 12, "{width}: {texts:?}");
    }
}

#[test]
fn a_small_chart_has_room_for_its_values() {
    let layers = || -> Vec<Layer> {
        let series = (0..12).map(|place| layer(Role::Series(place), day()));
        series.collect()
    };
    for marks in [Marks::Bars(layers()), Marks::Lines(layers())] {
        let mut small = chart(marks);
        (small.appearance.width, small.appearance.height) = (480, 270);
        small.categories[23].state = DataState::Provisional;
        let texts = texts(&small);
        let more = texts.iter().filter(|text| text.starts_with('+'));
        assert_eq!(more.count(), 1, "how many names are not there: {texts:?}");
        assert!(texts.contains(&"provisional".to_owned()), "{texts:?}");
        let svg = small.to_svg().expect("drawing in memory");
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        let axis = document
            .descendants()
            .filter(|node| node.has_tag_name("rect") && node.attribute("fill") == Some("#e2e5ea"));
        let lines: Vec<i64> = axis.map(|node| geometry(&node)[1]).collect();
        let height = lines.iter().max().expect("a grid") - lines.iter().min().expect("a grid");
        assert!(height > 40, "{height}");
    }
}

#[test]
fn an_hour_has_its_tick_and_the_peak_its_value() {
    let texts = texts(&bars(day()));
    let hours: Vec<String> = (0..24).map(|hour| format!("{hour:02}")).collect();
    assert!(texts.windows(24).any(|window| window == hours), "{texts:?}");
    for wanted in [
        "checkout · 2026-11-21 (토) · KST",
        "12,345 events",
        "hour",
        "events",
        "0",
        "10,000",
        "10,640",
    ] {
        assert!(
            texts.iter().any(|text| text == wanted),
            "{wanted} in {texts:?}"
        );
    }
    assert!(!texts.iter().any(|text| text == "no data"));
}

#[test]
fn a_month_of_days_has_every_label_and_a_year_some() {
    let labelled = |points: usize| {
        let chart = Figure {
            x_label: String::new(),
            ..bars(vec![Some(7.5); points])
        };
        let labels: BTreeSet<String> = chart
            .categories
            .iter()
            .map(|category| category.label.clone())
            .collect();
        texts(&chart)
            .into_iter()
            .filter(|text| text.len() > 1 && labels.contains(text))
            .count()
    };
    assert_eq!(labelled(25), 25);
    assert_eq!(labelled(31), 31);
    assert!((8..=16).contains(&labelled(365)), "{}", labelled(365));
}

#[test]
fn missing_is_not_zero() {
    let zero = bars([Some(5.0), Some(0.0), Some(3.0)]);
    let missing = bars([Some(5.0), None, Some(3.0)]);
    let not_a_number = bars([Some(5.0), Some(f64::NAN), Some(3.0)]);
    // A zero has the colour of the axis, so that it does not look like a small value.
    assert_eq!(count(&zero, "rect", ACCENT), 2);
    assert_eq!(
        count(&zero, "rect", AXIS),
        count(&missing, "rect", AXIS) + 1
    );
    assert_eq!(count(&missing, "rect", ACCENT), 2);
    assert!(
        texts(&missing).contains(&"no data".to_owned()),
        "the legend"
    );
    assert!(!texts(&zero).contains(&"no data".to_owned()));
    assert_eq!(missing.to_svg().ok(), not_a_number.to_svg().ok());
}

#[test]
fn a_line_breaks_where_a_value_is_missing() {
    let gap = line([
        Some(1.0),
        Some(2.0),
        None,
        Some(3.0),
        None,
        Some(2.0),
        Some(1.0),
    ]);
    let svg = gap.to_svg().expect("drawing in memory");
    let lines = svg
        .lines()
        .filter(|line| line.starts_with("<polyline") && line.contains(ACCENT));
    assert_eq!(lines.count(), 2);
    assert_eq!(count(&gap, "circle", ACCENT), 5);
}

#[test]
fn a_figure_without_values_says_so() {
    for values in [
        vec![],
        vec![None; 24],
        vec![Some(f64::INFINITY), Some(f64::NAN)],
    ] {
        for chart in [bars(values.clone()), line(values.clone())] {
            let texts = texts(&chart);
            assert_eq!(
                texts.iter().filter(|text| *text == "no data").count(),
                1,
                "{texts:?}"
            );
        }
    }
}

#[test]
fn characters_that_the_font_lacks_are_named() {
    let mut chart = bars(day());
    assert!(chart.missing_glyphs().is_empty());
    chart.title.push_str(" 🔥🔥\u{fe0f}");
    chart.categories[3].label = "漢".to_owned();
    assert_eq!(chart.missing_glyphs(), ['漢', '🔥']);
    chart.to_png().expect("boxes instead");
}

fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (-1e6..1e6).prop_map(Some),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            f64::NAN
        ])
        .prop_map(Some),
    ]
}

/// The rectangles with this fill: left, top, width, height.
fn rects(chart: &Figure, fill: &str) -> Vec<[i64; 4]> {
    let svg = chart.to_svg().expect("drawing in memory");
    let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
    let rects = document
        .descendants()
        .filter(|node| node.has_tag_name("rect") && node.attribute("fill") == Some(fill));
    rects.map(|rect| geometry(&rect)).collect()
}

fn geometry(rect: &roxmltree::Node<'_, '_>) -> [i64; 4] {
    ["x", "y", "width", "height"].map(|name| {
        let value = rect.attribute(name).and_then(|value| value.parse().ok());
        value.expect("a number")
    })
}

#[test]
fn parts_of_a_bar_stand_on_each_other() {
    let errors = layer(Role::Errors, [Some(10.0), Some(0.0), Some(30.0)]);
    let rest = layer(Role::Main, [Some(50.0), Some(60.0), Some(20.0)]);
    let stack = chart(Marks::Bars(vec![errors, rest]));
    let legend = |rects: Vec<[i64; 4]>| rects.into_iter().partition::<Vec<_>, _>(|r| r[3] == 22);
    let (samples, errors) = legend(rects(&stack, "#d1441f"));
    let (_, rest) = legend(rects(&stack, ACCENT));
    assert_eq!((samples.len(), errors.len(), rest.len()), (1, 2, 3));
    for (below, above) in errors.iter().zip([rest[0], rest[2]]) {
        assert_eq!(below[0], above[0]);
        let gap = below[1] - (above[1] + above[3]);
        assert!((0..=3).contains(&gap), "{below:?} {above:?}");
    }
    // Two bars of 60 have the same height.
    assert_eq!(rest[0][1], rest[1][1]);
    for wanted in ["Errors", "Main", "60"] {
        assert!(texts(&stack).contains(&wanted.to_owned()), "{wanted}");
    }
}

#[test]
fn provisional_bars_are_hatched_in_their_colour_and_missing_ones_in_grey() {
    let mut day = bars([Some(5.0), Some(3.0), Some(0.0), None]);
    assert!(!texts(&day).contains(&"provisional".to_owned()));
    day.categories[1].state = DataState::Provisional;
    day.categories[2].state = DataState::Missing;
    assert_eq!(rects(&day, ACCENT).len(), 1, "the settled one");
    assert_eq!(rects(&day, "#c1d3e9").len(), 2, "a bar and its sample");
    let texts = texts(&day);
    assert!(texts.contains(&"provisional".to_owned()) && texts.contains(&"no data".to_owned()));
}

#[test]
fn a_provisional_zero_is_not_a_settled_one() {
    let mut day = bars([Some(5.0), Some(0.0), Some(3.0)]);
    let hatched = |chart: &Figure| {
        let svg = chart.to_svg().expect("drawing in memory");
        let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
        lines.filter(|line| line.contains("#e5c3a9")).count()
    };
    assert_eq!(hatched(&day), 0);
    day.categories[1].state = DataState::Provisional;
    assert!(hatched(&day) > 10, "its column, and the legend's sample");
    assert!(texts(&day).contains(&"provisional".to_owned()));
}

#[test]
fn a_bar_of_many_small_parts_is_as_high_as_its_sum() {
    let values = [1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 900.0];
    let mut layers: Vec<Layer> = (0..)
        .zip(values)
        .map(|(place, value)| layer(Role::Series(place), [Some(value), None]))
        .collect();
    layers.push(layer(Role::Main, [None, Some(909.0)]));
    let stack = chart(Marks::Bars(layers));
    let colors = ["#2f6db5"];
    let whole = rects(&stack, colors[0])
        .into_iter()
        .filter(|rect| rect[3] > 22)
        .min_by_key(|rect| rect[1])
        .expect("a bar");
    let svg = stack.to_svg().expect("drawing in memory");
    let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
    let tops: Vec<i64> = document
        .descendants()
        .filter(|node| node.has_tag_name("rect"))
        .map(|node| geometry(&node))
        .filter(|rect| rect[3] > 100 && rect[2] < 400)
        .map(|rect| rect[1])
        .collect();
    assert_eq!(tops, [whole[1], whole[1]]);
}

#[test]
fn an_earlier_day_is_a_thin_line_with_its_name() {
    let mut day = bars([Some(5.0), Some(3.0), Some(4.0)]);
    day.earlier = Some(Layer {
        name: "2026-11-14 (Sat)".to_owned(),
        ..layer(Role::Other, [Some(50.0), None, Some(4.0)])
    });
    assert!(texts(&day).contains(&"2026-11-14 (Sat)".to_owned()));
    // The axis has room for it.
    assert!(texts(&day).contains(&"50".to_owned()));
    assert!(
        texts(&day).contains(&"5".to_owned()),
        "the peak is of this day"
    );
}

#[test]
fn lines_have_their_names_at_their_ends() {
    let layers = (0..3).map(|place| {
        let value = f64::from(place) + 1.0;
        layer(Role::Series(place as usize), [Some(value), Some(value)])
    });
    let lines = chart(Marks::Lines(layers.collect()));
    let texts = texts(&lines);
    for name in ["Series(0)", "Series(1)", "Series(2)"] {
        assert_eq!(texts.iter().filter(|text| *text == name).count(), 1);
    }
}

#[test]
fn a_heatmap_has_a_cell_for_each_value_and_names_the_highest() {
    let row = |label: &str, cells: [Cell; 3]| Row {
        label: label.to_owned(),
        note: String::new(),
        cells: cells.to_vec(),
    };
    let grid = chart(Marks::Cells(vec![
        row(
            "Mon",
            [Cell::Value(0.0), Cell::Value(1500.0), Cell::Missing],
        ),
        row(
            "Tue",
            [Cell::Absent, Cell::Provisional(750.0), Cell::Value(3000.0)],
        ),
    ]));
    let texts = texts(&grid);
    for wanted in [
        "Mon",
        "Tue",
        "1.5k",
        "3.0k",
        "750",
        "no data",
        "provisional",
    ] {
        assert!(texts.contains(&wanted.to_owned()), "{wanted} in {texts:?}");
    }
    // The highest value has the last colour, in its cell and at the end of the scale.
    assert_eq!(rects(&grid, "#14315c").len(), 2);
}

#[test]
fn percent_is_at_each_number_and_other_units_are_in_the_axis_title() {
    let of = |unit: &str| Figure {
        unit: unit.to_owned(),
        ..bars([Some(40.0), Some(80.5)])
    };
    let percent = texts(&of("%"));
    assert!(percent.contains(&"80%".to_owned()) && percent.contains(&"80.5%".to_owned()));
    let ms = texts(&of("ms"));
    assert!(ms.contains(&"80".to_owned()) && ms.contains(&"80.5 ms".to_owned()));
    assert!(ms.contains(&"events (ms)".to_owned()));
}

#[test]
fn a_group_is_below_its_categories_once() {
    let mut hours = bars(vec![Some(1.0); 48]);
    for (place, category) in hours.categories.iter_mut().enumerate() {
        category.group = format!("11-{}", 20 + place / 24);
        category.label = format!("{:02}", place % 24);
    }
    hours.categories[30].note = "clocks +1 h".to_owned();
    let texts = texts(&hours);
    for wanted in ["11-20", "11-21", "clocks +1 h"] {
        assert_eq!(
            texts.iter().filter(|text| *text == wanted).count(),
            1,
            "{wanted}"
        );
    }
}

#[test]
fn a_scale_makes_more_pixels_of_the_same_picture() {
    let mut small = bars(day());
    small.appearance = Appearance {
        width: 800,
        height: 450,
        scale: 2.0,
        theme: Theme::Dark,
    };
    let svg = small.to_svg().expect("drawing in memory");
    assert!(svg.contains("width=\"800\" height=\"450\" viewBox=\"0 0 1600 900\""));
    let png = small.to_png().expect("drawing in memory");
    let reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (1600, 900));
    let odd = Figure {
        appearance: Appearance {
            width: 641,
            height: 451,
            scale: 1.5,
            theme: Theme::Light,
        },
        ..bars(day())
    };
    let png = odd.to_png().expect("drawing in memory");
    let reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (962, 677));
    // In a viewBox of 1600 pixels it is the same figure in other colours.
    let large = bars(day());
    assert_eq!(rects(&small, "#5b9bea"), rects(&large, ACCENT));
}

fn any_marks() -> impl Strategy<Value = Marks> {
    let values = (0..60usize, 1..14usize).prop_flat_map(|(categories, layers)| {
        prop::collection::vec(prop::collection::vec(any_value(), categories), layers)
    });
    (values, 0..4u8).prop_map(|(values, kind)| {
        let layers = || {
            let layers = values.iter().enumerate();
            layers
                .map(|(place, values)| layer(Role::Series(place), values.clone()))
                .collect()
        };
        match kind {
            0 => Marks::Bars(layers()),
            1 => Marks::Lines(layers()),
            2 => Marks::Bands(layers()),
            _ => {
                let cell = |value: &Option<f64>| value.map_or(Cell::Missing, Cell::Provisional);
                let rows = values.iter().map(|values| Row {
                    label: "row".to_owned(),
                    note: String::new(),
                    cells: values.iter().map(cell).collect(),
                });
                Marks::Cells(rows.collect())
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_value_and_text_can_be_drawn_inside_the_picture(
        marks in any_marks(),
        text in any::<String>(),
        width in 480..2000u32,
        height in 270..1200u32,
        state in prop::sample::select(vec![DataState::Settled, DataState::Provisional, DataState::Missing]),
    ) {
        let layers = marks.layers();
        let earlier = layers.last().map(|layer| Layer { name: text.clone(), ..layer.clone() });
        let mut chart = Figure {
            appearance: Appearance { width, height, scale: 1.0, theme: Theme::Light },
            title: text.clone(),
            badge: text.chars().take(12).collect(),
            subtitle: text.clone(),
            x_label: text.clone(),
            y_label: text.clone(),
            unit: text.chars().take(3).collect(),
            footer: text.clone(),
            earlier,
            ..chart(marks)
        };
        for category in &mut chart.categories {
            *category = Category { label: text.clone(), group: text.clone(), state, note: String::new() };
        }
        let svg = chart.to_svg().expect("drawing in memory");
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        for rect in document.descendants().filter(|node| node.has_tag_name("rect")) {
            let [left, top, rect_width, rect_height] = geometry(&rect);
            prop_assert!(rect_width > 0 && rect_height > 0, "{:?}", rect);
            prop_assert!(left >= 0 && left + rect_width <= i64::from(width), "{:?}", rect);
            prop_assert!(top >= 0 && top + rect_height <= i64::from(height), "{:?}", rect);
        }
        chart.to_png().expect("drawing in memory");
    }
}

/// Bars of names, as elastic-charts#1925 and langfuse#14670 have them.
fn bars_of_names(names: &[String], size: (u32, u32)) -> Figure {
    let values = (0..names.len()).map(|place| Some(1_000.0 - place as f64));
    let mut figure = bars(values);
    (figure.appearance.width, figure.appearance.height) = size;
    figure.categories = names.iter().map(|name| category(name)).collect();
    figure.are_names = true;
    figure
}

fn long_names(count: usize) -> Vec<String> {
    let names =
        (0..count).map(|n| format!("/aws/lambda/acme-prod-checkout-service-{n:02}-handler"));
    names.collect()
}

#[test]
fn every_bar_of_a_name_has_its_name_and_its_number() {
    for (count, size) in [
        (6, (600, 338)),
        (8, (1600, 900)),
        (20, (1600, 900)),
        (30, (1600, 900)),
    ] {
        let texts = texts(&bars_of_names(&long_names(count), size));
        for place in 0..count {
            let end = format!("{place:02}-handler");
            let named = texts.iter().filter(|text| text.ends_with(&end)).count();
            assert_eq!(named, 1, "{size:?}: {end} in {texts:?}");
            let number = crate::numbers::format_number(1_000.0 - place as f64, 0);
            assert!(texts.contains(&number), "{size:?}: {number} in {texts:?}");
        }
    }
    let few: Vec<String> = ["GET", "POST", "PUT"].map(str::to_owned).into();
    let upright = texts(&bars_of_names(&few, (1600, 900)));
    assert!(
        !upright.contains(&"999".to_owned()),
        "upright bars have only the peak's number: {upright:?}"
    );
    // More than there is room for: the rest is counted.
    let many = texts(&bars_of_names(&long_names(100), (1600, 900)));
    assert!(many.iter().any(|text| text.starts_with("… +")), "{many:?}");
}

#[test]
fn sideways_bars_of_any_kind_are_drawn() {
    let mut figure = bars_of_names(&long_names(9), (1600, 900));
    let values = [-5.0, 12.0, 0.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let mut one = layer(Role::Errors, values.map(Some));
    one.values[3] = None;
    let mut other = layer(Role::Main, values.map(Some));
    other.values[3] = None;
    figure.marks = Marks::Bars(vec![one, other]);
    figure.earlier = Some(layer(Role::Other, [Some(7.0); 9]));
    figure.categories[1].state = DataState::Provisional;
    let texts = texts(&figure);
    for expected in ["−10", "24", "0", "no data", "provisional"] {
        assert!(
            texts.contains(&expected.to_owned()),
            "{expected}: {texts:?}"
        );
    }
}

#[test]
fn a_logarithmic_axis_keeps_small_values_off_the_ground() {
    let values = (0..24).map(|hour| {
        Some(if hour == 9 {
            10_373.0
        } else {
            40.0 + f64::from(hour)
        })
    });
    let mut figure = line(values.collect::<Vec<_>>());
    let highest_of = |figure: &Figure| {
        let style = style::Style::new(&figure.appearance);
        let axis = value_axis::ValueAxis::new(&[40.0, 63.0, 10_373.0], figure.y_scale);
        let plot = marks::Plot {
            x: x_axis::CategoryScale::new(0..style.width, 24),
            y: 0..100,
            values: axis.range(),
        };
        100 - plot.y_of(63.0)
    };
    assert!(highest_of(&figure) <= 1, "on a linear axis");
    figure.y_scale = ValueScale::Log;
    assert!(highest_of(&figure) > 5, "on a logarithmic one");
    let texts = texts(&figure);
    for tick in ["100", "1,000", "10,000"] {
        assert!(texts.contains(&tick.to_owned()), "{tick}: {texts:?}");
    }
}
