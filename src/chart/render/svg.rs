//! Vectors: what plotters draws as an SVG document whose texts are outlines.
//!
//! plotters' own SVG backend writes `<text>`, which each viewer shows in a font of its own.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::rc::Rc;

use ab_glyph::OutlineCurve;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::font::PlacedText;

/// Where plotters draws.
pub type Area = DrawingArea<Svg, Shift>;

/// What drawing on an [`Area`] fails with. Nothing a figure has leads here.
pub type AreaError = DrawingAreaErrorKind<Infallible>;

/// What a document says before its shapes. Either may be empty.
pub struct Heading {
    /// `<title>`
    pub title: String,
    /// `<desc>`
    pub description: String,
}

/// The document of what is drawn on an area of `pixels`, shown in a width and height of `size`.
pub fn document(
    size: (u32, u32),
    pixels: (u32, u32),
    heading: &Heading,
    draw: impl FnOnce(&Area) -> Result<(), AreaError>,
) -> Result<String, AreaError> {
    let elements = Rc::default();
    let backend = Svg {
        elements: Rc::clone(&elements),
        size: pixels,
    };
    draw(&backend.into_drawing_area())?;
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\">\n",
        size.0, size.1, pixels.0, pixels.1
    );
    for (name, text) in [("title", &heading.title), ("desc", &heading.description)] {
        if !text.is_empty() {
            document += &format!("<{name}>{}</{name}>\n", Escaped(text));
        }
    }
    document += &elements.borrow();
    document += "</svg>\n";
    Ok(document)
}

/// A plotters backend that appends an element for each shape.
#[derive(Debug)]
pub struct Svg {
    elements: Rc<RefCell<String>>,
    size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Svg {
    fn element(&mut self, name: &str, attributes: &[(&str, &dyn Display)]) {
        let mut elements = self.elements.borrow_mut();
        *elements += &format!("<{name}");
        for (name, value) in attributes {
            *elements += &format!(" {name}=\"{value}\"");
        }
        *elements += "/>\n";
    }

    /// A shape filled with the colour, or only outlined in it.
    fn shape<S: BackendStyle>(
        &mut self,
        name: &str,
        geometry: &[(&str, &dyn Display)],
        style: &S,
        fill: bool,
    ) {
        let color = Color(style.color());
        let width = style.stroke_width();
        let paint: &[(&str, &dyn Display)] = if fill {
            &[("fill", &color)]
        } else {
            &[
                ("fill", &"none"),
                ("stroke", &color),
                ("stroke-width", &width),
                ("stroke-linejoin", &"round"),
                ("stroke-linecap", &"round"),
            ]
        };
        self.element(name, &[geometry, paint].concat());
    }
}

impl DrawingBackend for Svg {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.shape(
            "line",
            &[
                ("x1", &from.0),
                ("y1", &from.1),
                ("x2", &to.0),
                ("y2", &to.1),
            ],
            style,
            false,
        );
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let (width, height) = (right - left, bottom - top);
        // A shape without an area shows nothing, and resvg warns of it.
        if width <= 0 || height <= 0 {
            return Ok(());
        }
        self.shape(
            "rect",
            &[
                ("x", &left),
                ("y", &top),
                ("width", &width),
                ("height", &height),
            ],
            style,
            fill,
        );
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.shape("polyline", &[("points", &points(path))], style, false);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.shape("polygon", &[("points", &points(path))], style, true);
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.shape(
            "circle",
            &[("cx", &center.0), ("cy", &center.1), ("r", &radius)],
            style,
            fill,
        );
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Drawn {
        let outline: String = PlacedText::new(text, style, pos)
            .curves()
            .map(|glyph| path_data(&glyph))
            .collect();
        self.element(
            "path",
            &[
                ("aria-label", &Escaped(text)),
                ("fill", &Color(style.color())),
                ("d", &outline),
            ],
        );
        Ok(())
    }
}

/// The glyph as the `d` of a `<path>`. A curve that does not start where the last one ended begins a contour.
fn path_data(glyph: &[OutlineCurve]) -> String {
    let mut data = String::new();
    let mut end = None;
    for curve in glyph {
        let (start, command, points) = match curve {
            OutlineCurve::Line(a, b) => (a, 'L', vec![b]),
            OutlineCurve::Quad(a, b, c) => (a, 'Q', vec![b, c]),
            OutlineCurve::Cubic(a, b, c, d) => (a, 'C', vec![b, c, d]),
        };
        if end != Some(start) {
            data += &format!("M{} {}", Hundredths(start.x), Hundredths(start.y));
        }
        data.push(command);
        let coordinates: Vec<String> = points
            .iter()
            .map(|p| format!("{} {}", Hundredths(p.x), Hundredths(p.y)))
            .collect();
        data += &coordinates.join(" ");
        end = points.last().copied();
    }
    data
}

fn points(path: impl IntoIterator<Item = BackendCoord>) -> String {
    let points: Vec<String> = path.into_iter().map(|(x, y)| format!("{x},{y}")).collect();
    points.join(" ")
}

/// Text for an element or an attribute in double quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// `#rrggbb`, or `#rrggbbaa` if it is not opaque.
struct Color(BackendColor);

impl Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (red, green, blue) = self.0.rgb;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")?;
        if self.0.alpha < 1.0 {
            write!(f, "{:02x}", (self.0.alpha * 255.0).round() as u8)?;
        }
        Ok(())
    }
}

/// Two decimals: finer than any screen, and short.
struct Hundredths(f32);

impl Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = format!("{:.2}", self.0);
        f.write_str(figures.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use plotters::element::Rectangle;
    use plotters::style::{BLACK, Color as _};

    use super::*;

    #[test]
    fn a_shape_without_an_area_is_left_out() {
        let heading = Heading {
            title: String::new(),
            description: String::new(),
        };
        let drawn = |corners: [(i32, i32); 2]| {
            let draw = |area: &Area| area.draw(&Rectangle::new(corners, BLACK.filled()));
            document((20, 10), (20, 10), &heading, draw).expect("drawing in memory")
        };
        assert!(drawn([(1, 1), (2, 9)]).contains("<rect"));
        for corners in [[(1, 1), (1, 9)], [(1, 1), (9, 1)]] {
            assert!(!drawn(corners).contains("<rect"));
        }
    }

    #[test]
    fn attributes() {
        assert_eq!(
            Escaped("a<b & \"c\">").to_string(),
            "a&lt;b &amp; &quot;c&quot;&gt;"
        );
        let color = |alpha| {
            Color(BackendColor {
                alpha,
                rgb: (1, 0xab, 255),
            })
            .to_string()
        };
        assert_eq!(
            (color(1.0).as_str(), color(0.5).as_str()),
            ("#01abff", "#01abff80")
        );
        let coordinates = [1.0, 1.004, -0.256, 12.996, 100.5].map(|n| Hundredths(n).to_string());
        assert_eq!(coordinates, ["1", "1", "-0.26", "13", "100.5"]);
    }
}
