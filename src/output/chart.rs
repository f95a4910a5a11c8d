//! A chart of one answer as a picture: PNG for slides and chat, SVG for the web.
//!
//! Drawing only: what the numbers mean, their time zone and their names are decided by the caller. One build gives
//! the same bytes for the same [`Chart`], as the font is embedded and no system font, clock or locale is asked.
//!
//! ```text
//! Chart ─► draw (layout, marks) ─► plotters ─► bitmap (PNG)
//!           axis, text, style                └► svg
//! ```

mod axis;
mod bitmap;
mod draw;
mod font;
mod style;
mod svg;
mod text;

use std::collections::BTreeSet;

use plotters::style::FontStyle;

/// Width of every chart in pixels.
pub const WIDTH: u32 = 1600;
/// Height of every chart in pixels.
pub const HEIGHT: u32 = 900;

/// How the points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    /// A column for each point.
    Bar,
    /// A line through the points, broken where one is missing.
    Line,
}

/// One position on the x axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The text of its tick, `00` to `23` for the hours of a day. Need not be unique: a day of DST has an hour twice.
    pub label: String,
    /// `None`, and what no axis can show (NaN, infinities, beyond ±1e300), is missing, which is not zero.
    pub value: Option<f64>,
}

impl Point {
    /// The value if it can be drawn.
    fn drawable(&self) -> Option<f64> {
        self.value.filter(|value| value.abs() <= axis::LARGEST)
    }
}

/// Everything that a chart shows. Any text may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// How the points are drawn.
    pub kind: ChartKind,
    /// Shrunk, then wrapped to two lines, then cut with `…` where it is too long.
    pub title: String,
    /// Below the title: the total, say.
    pub subtitle: String,
    /// What the x axis shows.
    pub x_label: String,
    /// What the y axis shows, and its unit.
    pub y_label: String,
    /// From left to right.
    pub points: Vec<Point>,
    /// Where the numbers come from; wrapped to two lines.
    pub footer: String,
}

/// Why a chart could not be drawn. Nothing in a [`Chart`] leads here, only a defect or a lack of memory.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// plotters refused.
    #[error("the chart {title:?} could not be drawn: {source}")]
    Draw {
        /// The chart's title.
        title: String,
        /// What plotters said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The picture could not be encoded.
    #[error("the chart {title:?} could not be encoded as PNG: {source}")]
    Encode {
        /// The chart's title.
        title: String,
        /// What the encoder said.
        source: png::EncodingError,
    },
}

impl Chart {
    /// The chart as a PNG of [`WIDTH`] × [`HEIGHT`] pixels (RGB, 8 bit) with the title as its metadata.
    pub fn to_png(&self) -> Result<Vec<u8>, ChartError> {
        let pixels =
            bitmap::render(|area| draw::draw(self, area)).map_err(|e| self.draw_error(e))?;
        bitmap::encode(&pixels, &text::normalize(&self.title)).map_err(|source| {
            ChartError::Encode {
                title: self.title.clone(),
                source,
            }
        })
    }

    /// The chart as an SVG document of [`WIDTH`] × [`HEIGHT`] pixels. Its texts are outlines, so that it looks the same
    /// everywhere; `<title>`, `<desc>` and each outline's `aria-label` say them for those who can't see it.
    pub fn to_svg(&self) -> Result<String, ChartError> {
        let title = text::normalize(&self.title);
        let description = text::normalize(&self.subtitle);
        svg::render(&title, &description, |area| draw::draw(self, area))
            .map_err(|e| self.draw_error(e))
    }

    /// The characters of the chart's texts that the embedded font lacks (emoji, Chinese), in order, each once. They are
    /// drawn as boxes.
    pub fn missing_glyphs(&self) -> Vec<char> {
        let texts = [
            &self.title,
            &self.subtitle,
            &self.x_label,
            &self.y_label,
            &self.footer,
        ];
        let texts = texts
            .into_iter()
            .chain(self.points.iter().map(|point| &point.label));
        let face = font::face(FontStyle::Normal);
        let missing: BTreeSet<char> = texts
            .flat_map(|text| text::normalize(text).chars().collect::<Vec<_>>())
            .filter(|&c| !face.has(c))
            .collect();
        missing.into_iter().collect()
    }

    fn draw_error<E: std::error::Error + Send + Sync + 'static>(&self, source: E) -> ChartError {
        ChartError::Draw {
            title: self.title.clone(),
            source: Box::new(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chart(kind: ChartKind, values: impl IntoIterator<Item = Option<f64>>) -> Chart {
        let points = values.into_iter().enumerate();
        Chart {
            kind,
            title: "checkout · 2026-11-21 (토) · KST".to_owned(),
            subtitle: "12,345 events".to_owned(),
            x_label: "hour".to_owned(),
            y_label: "events".to_owned(),
            points: points
                .map(|(hour, value)| Point {
                    label: format!("{hour:02}"),
                    value,
                })
                .collect(),
            footer: "/aws/lambda/checkout-api · settled · logtally 0.1.0".to_owned(),
        }
    }

    /// 24 hours, all different, the highest at 23:00.
    fn day() -> Vec<Option<f64>> {
        (0..24)
            .map(|hour| Some(f64::from(hour * hour * 20 + 60)))
            .collect()
    }

    /// The texts in the picture.
    fn texts(chart: &Chart) -> Vec<String> {
        let svg = chart.to_svg().expect("drawing in memory");
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        document
            .descendants()
            .filter_map(|node| node.attribute("aria-label").map(str::to_owned))
            .collect()
    }

    /// How many elements of this name have this fill.
    fn count(chart: &Chart, name: &str, fill: &str) -> usize {
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
        let chart = chart(ChartKind::Bar, day());
        let png = chart.to_png().expect("drawing in memory");
        assert_eq!(chart.to_png().expect("drawing in memory"), png);

        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect("pixels");
        let info = reader.info();
        assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
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
        let chart = Chart {
            title: "a < b & \"c\"\u{1}".to_owned(),
            ..chart(ChartKind::Line, day())
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
    fn an_hour_has_its_tick_and_the_peak_its_value() {
        let texts = texts(&chart(ChartKind::Bar, day()));
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
            let chart = Chart {
                x_label: String::new(),
                ..chart(ChartKind::Bar, vec![Some(7.5); points])
            };
            let labels: BTreeSet<String> = chart
                .points
                .iter()
                .map(|point| point.label.clone())
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
        let zero = chart(ChartKind::Bar, [Some(5.0), Some(0.0), Some(3.0)]);
        let missing = chart(ChartKind::Bar, [Some(5.0), None, Some(3.0)]);
        let not_a_number = chart(ChartKind::Bar, [Some(5.0), Some(f64::NAN), Some(3.0)]);
        // A zero has the colour of the axis, lest it be taken for a few.
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
        let gap = chart(
            ChartKind::Line,
            [
                Some(1.0),
                Some(2.0),
                None,
                Some(3.0),
                None,
                Some(2.0),
                Some(1.0),
            ],
        );
        let svg = gap.to_svg().expect("drawing in memory");
        let lines = svg
            .lines()
            .filter(|line| line.starts_with("<polyline") && line.contains(ACCENT));
        assert_eq!(lines.count(), 2);
        assert_eq!(count(&gap, "circle", ACCENT), 5);
    }

    #[test]
    fn without_data_it_says_so() {
        for values in [
            vec![],
            vec![None; 24],
            vec![Some(f64::INFINITY), Some(f64::NAN)],
        ] {
            for kind in [ChartKind::Bar, ChartKind::Line] {
                let texts = texts(&chart(kind, values.clone()));
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
        let mut chart = chart(ChartKind::Bar, day());
        assert!(chart.missing_glyphs().is_empty());
        chart.title.push_str(" 🔥🔥\u{fe0f}");
        chart.points[3].label = "漢".to_owned();
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_value_and_text_can_be_drawn_inside_the_picture(
            values in prop::collection::vec(any_value(), 0..60),
            line in any::<bool>(),
            text in any::<String>(),
        ) {
            let kind = if line { ChartKind::Line } else { ChartKind::Bar };
            let points = values.into_iter().map(|value| Point { label: text.clone(), value }).collect();
            let texts = [(); 5].map(|()| text.clone());
            let [title, subtitle, x_label, y_label, footer] = texts;
            let chart = Chart { kind, title, subtitle, x_label, y_label, points, footer };

            let svg = chart.to_svg().expect("drawing in memory");
            let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
            for rect in document.descendants().filter(|node| node.has_tag_name("rect")) {
                let [left, top, width, height] = ["x", "y", "width", "height"]
                    .map(|name| rect.attribute(name).and_then(|value| value.parse::<i64>().ok()).expect("a number"));
                prop_assert!(width >= 0 && height >= 0, "{:?}", rect);
                prop_assert!(left >= 0 && left + width <= i64::from(WIDTH), "{:?}", rect);
                prop_assert!(top >= 0 && top + height <= i64::from(HEIGHT), "{:?}", rect);
            }
            chart.to_png().expect("drawing in memory");
        }
    }
}
