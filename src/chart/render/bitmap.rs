//! Pixels: a chart drawn by plotters into memory, and encoded as PNG.

use std::fmt;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::BitMapBackend;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    rasterizer,
};
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};

use super::font::PlacedText;

const CHANNELS: usize = 3;

/// plotters' bitmap backend with the embedded font, and smooth lines with round joints.
pub struct Bitmap<'a>(BitMapBackend<'a>);

type BitmapError = <BitMapBackend<'static> as DrawingBackend>::ErrorType;
type Drawn = Result<(), DrawingErrorKind<BitmapError>>;

/// What the drawing returns.
pub type AreaResult = Result<(), DrawingAreaErrorKind<BitmapError>>;

/// The RGB pixels of what is drawn, row by row.
pub fn render(
    (width, height): (u32, u32),
    draw: impl FnOnce(&DrawingArea<Bitmap<'_>, Shift>) -> AreaResult,
) -> Result<Vec<u8>, DrawingAreaErrorKind<BitmapError>> {
    let mut pixels = vec![0xff; width as usize * height as usize * CHANNELS];
    let area = Bitmap(BitMapBackend::with_buffer(&mut pixels, (width, height))).into_drawing_area();
    draw(&area)?;
    area.present()?;
    drop(area);
    Ok(pixels)
}

/// A PNG of the pixels, with the title in an `iTXt` chunk.
pub fn encode(
    pixels: &[u8],
    (width, height): (u32, u32),
    title: &str,
) -> Result<Vec<u8>, EncodingError> {
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    if !title.is_empty() {
        encoder.add_itxt_chunk("Title".to_owned(), title.to_owned())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(png)
}

impl Bitmap<'_> {
    /// All within `radius` of the segment: a line with round ends, or a disc where the ends are one point.
    ///
    /// Each pixel is as opaque as its centre lies deep inside, up to a pixel. plotters' own wide lines have ragged
    /// edges, as it rounds the corners of each to whole pixels and does not smooth them.
    fn stroke(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        radius: f64,
        color: BackendColor,
    ) -> Drawn {
        let from = (f64::from(from.0), f64::from(from.1));
        let along = (f64::from(to.0) - from.0, f64::from(to.1) - from.1);
        let squared_length = along.0 * along.0 + along.1 * along.1;
        // Where on the segment, from 0 to 1, the point nearest to this one lies, and how far away.
        let distance = |x: f64, y: f64| {
            let (x, y) = (x - from.0, y - from.1);
            let share = ((x * along.0 + y * along.1) / squared_length.max(1.0)).clamp(0.0, 1.0);
            (x - share * along.0).hypot(y - share * along.1)
        };

        let reach = radius + 1.0;
        let top = (from.1 + along.1.min(0.0) - reach).floor() as i32;
        let bottom = (from.1 + along.1.max(0.0) + reach).ceil() as i32;
        for row in top..bottom {
            let y = f64::from(row) + 0.5;
            // Only the part of the segment that comes within reach of the row can colour it.
            let [start, end] = match along.1 {
                0.0 => [0.0, 1.0],
                _ => [y - reach, y + reach].map(|y| ((y - from.1) / along.1).clamp(0.0, 1.0)),
            };
            let (start, end) = (from.0 + start * along.0, from.0 + end * along.0);
            let left = (start.min(end) - reach).floor() as i32;
            let right = (start.max(end) + reach).ceil() as i32;
            for column in left..right {
                let coverage =
                    (radius + 0.5 - distance(f64::from(column) + 0.5, y)).clamp(0.0, 1.0);
                self.cover((column, row), color, coverage)?;
            }
        }
        Ok(())
    }

    /// What lies inside the polygon by the even-odd rule, smooth at its left and right edges.
    ///
    /// plotters fills whole pixels, and not always those at the corners.
    fn fill(&mut self, corners: &[(f64, f64)], color: BackendColor) -> Drawn {
        let rows = corners.iter().map(|corner| corner.1);
        let top = rows.clone().fold(f64::INFINITY, f64::min).floor() as i32;
        let bottom = rows.fold(f64::NEG_INFINITY, f64::max).ceil() as i32;
        for row in top..bottom {
            let y = f64::from(row) + 0.5;
            let mut crossings: Vec<f64> = corners
                .iter()
                .zip(corners.iter().cycle().skip(1))
                .filter(|(from, to)| (from.1 <= y) != (to.1 <= y))
                .map(|(from, to)| from.0 + (to.0 - from.0) * (y - from.1) / (to.1 - from.1))
                .collect();
            crossings.sort_by(f64::total_cmp);
            for span in crossings.chunks_exact(2) {
                let (left, right) = (span[0], span[1]);
                for column in left.floor() as i32..right.ceil() as i32 {
                    let start = f64::from(column);
                    let coverage = right.min(start + 1.0) - left.max(start);
                    self.cover((column, row), color, coverage)?;
                }
            }
        }
        Ok(())
    }

    /// Paints the pixel as far as the shape covers it.
    fn cover(&mut self, pixel: BackendCoord, color: BackendColor, coverage: f64) -> Drawn {
        if coverage <= 0.0 {
            return Ok(());
        }
        self.0.draw_pixel(
            pixel,
            BackendColor {
                alpha: color.alpha * coverage.min(1.0),
                ..color
            },
        )
    }
}

impl fmt::Debug for Bitmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bitmap").field(&self.0.get_size()).finish()
    }
}

impl DrawingBackend for Bitmap<'_> {
    type ErrorType = BitmapError;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.0.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.0.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.stroke(
            from,
            to,
            f64::from(style.stroke_width()) / 2.0,
            style.color(),
        )
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.0.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<BackendCoord> = path.into_iter().collect();
        points
            .windows(2)
            .try_for_each(|ends| self.draw_line(ends[0], ends[1], style))
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let corners: Vec<(f64, f64)> = path
            .into_iter()
            .map(|(x, y)| (f64::from(x), f64::from(y)))
            .collect();
        self.fill(&corners, style.color())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            self.stroke(center, center, f64::from(radius), style.color())
        } else {
            rasterizer::draw_circle(self, center, radius, style, fill)
        }
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Drawn {
        for glyph in PlacedText::new(text, style, pos).outlined() {
            let corner = glyph.px_bounds().min;
            let mut drawn = Ok(());
            glyph.draw(|x, y, coverage| {
                let pixel = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                if drawn.is_ok() {
                    drawn = self.cover(pixel, style.color(), f64::from(coverage));
                }
            });
            drawn?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use plotters::element::{Circle, PathElement, Polygon, Rectangle};
    use plotters::style::{BLACK, Color, ShapeStyle};

    use super::*;

    /// How much ink is on the picture, in pixels.
    fn ink(draw: impl FnOnce(&DrawingArea<Bitmap<'_>, Shift>) -> AreaResult) -> f64 {
        let pixels = render((1600, 900), draw).expect("drawing in memory");
        pixels
            .chunks_exact(CHANNELS)
            .map(|pixel| f64::from(0xff - pixel[0]) / 255.0)
            .sum()
    }

    #[test]
    fn shapes_cover_their_area() {
        let wide = ShapeStyle {
            color: BLACK.to_rgba(),
            filled: false,
            stroke_width: 6,
        };
        let rectangle =
            ink(|area| area.draw(&Rectangle::new([(10, 10), (20, 30)], BLACK.filled())));
        assert_eq!(rectangle, 200.0);
        let disc = ink(|area| area.draw(&Circle::new((50, 50), 10, BLACK.filled())));
        assert!((disc - 314.0).abs() < 4.0, "{disc}");
        let corners = [(10, 10), (110, 10), (110, 60), (60, 110)];
        let polygon = ink(|area| area.draw(&Polygon::new(corners.to_vec(), BLACK.filled())));
        assert!((polygon - 6250.0).abs() < 70.0, "{polygon}");
        for end in [
            (400, 100),
            (100, 400),
            (340, 280),
            (280, 340),
            (180, 40),
            (20, 40),
        ] {
            let line = ink(|area| area.draw(&PathElement::new([(100, 100), end], wide)));
            let length = f64::from(end.0 - 100).hypot(f64::from(end.1 - 100));
            let round_ends = std::f64::consts::PI * 9.0;
            assert!(
                (line / (length * 6.0 + round_ends) - 1.0).abs() < 0.01,
                "{end:?}: {line}"
            );
        }
    }
}
