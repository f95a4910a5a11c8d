//! The embedded font: widths of texts, and their outlines.
//!
//! Pretendard (SIL Open Font License 1.1, `assets/fonts/Pretendard-LICENSE.txt`) has all 11,172 Hangul syllables, Latin
//! and kana. plotters' own fonts are not used, as they need fontconfig on the machine.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve, point};
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendCoord, BackendTextStyle};

/// The height of capitals and digits as a share of the em square (1448 / 2048 in the font's OS/2 table).
pub const CAP_HEIGHT: f64 = 0.707;

macro_rules! embedded {
    ($file:literal) => {
        Face::new(include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/fonts/",
            $file
        )))
    };
}

static REGULAR: LazyLock<Face> = LazyLock::new(|| embedded!("Pretendard-Regular.otf"));
static SEMI_BOLD: LazyLock<Face> = LazyLock::new(|| embedded!("Pretendard-SemiBold.otf"));

/// The face for a style: semi-bold for bold, regular for everything else.
pub fn face(style: FontStyle) -> &'static Face {
    match style {
        FontStyle::Bold => &SEMI_BOLD,
        FontStyle::Normal | FontStyle::Oblique | FontStyle::Italic => &REGULAR,
    }
}

/// One weight of the font.
pub struct Face {
    font: FontRef<'static>,
    units_per_em: f64,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Self {
        let font =
            FontRef::try_from_slice(bytes).expect("the embedded font is a valid OpenType font");
        let units_per_em = f64::from(
            font.units_per_em()
                .expect("an OpenType font has an em square"),
        );
        Self { font, units_per_em }
    }

    /// Whether the font can draw the character.
    pub fn has(&self, character: char) -> bool {
        self.font.glyph_id(character) != GlyphId(0)
    }

    /// The advance of the text when the em square is `size` high.
    pub fn width(&self, text: &str, size: f64) -> f64 {
        text.chars()
            .map(|c| self.advance(self.font.glyph_id(c)) * size)
            .sum()
    }

    /// The advance of a glyph as a share of the em square.
    fn advance(&self, glyph: GlyphId) -> f64 {
        f64::from(self.font.h_advance_unscaled(glyph)) / self.units_per_em
    }
}

/// A line of text at its position.
pub struct PlacedText<'a> {
    face: &'static Face,
    text: &'a str,
    size: f64,
    left: f64,
    baseline: f64,
}

impl<'a> PlacedText<'a> {
    /// A text at the anchors of its style. The vertical ones are those of capitals and digits: `Top` is their top,
    /// `Center` their middle, `Bottom` the baseline. Rotation is ignored.
    pub fn new<S: BackendTextStyle>(text: &'a str, style: &S, (x, y): BackendCoord) -> Self {
        let face = face(style.style());
        let size = style.size();
        let width = face.width(text, size);
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => size * CAP_HEIGHT,
            VPos::Center => size * CAP_HEIGHT / 2.0,
            VPos::Bottom => 0.0,
        };
        Self {
            face,
            text,
            size,
            left: f64::from(x) + left,
            baseline: f64::from(y) + baseline,
        }
    }

    fn glyphs(&self) -> impl Iterator<Item = (GlyphId, f64)> {
        let mut x = self.left;
        self.text.chars().map(move |c| {
            let glyph = self.face.font.glyph_id(c);
            let place = x;
            x += self.face.advance(glyph) * self.size;
            (glyph, place)
        })
    }

    /// The curves of each glyph, with y downwards.
    pub fn curves(&self) -> impl Iterator<Item = Vec<OutlineCurve>> {
        let scale = (self.size / self.face.units_per_em) as f32;
        self.glyphs().filter_map(move |(id, x)| {
            let place = |p: ab_glyph::Point| {
                point(x as f32 + p.x * scale, self.baseline as f32 - p.y * scale)
            };
            let outline = self.face.font.outline(id)?;
            let placed = outline.curves.into_iter().map(|curve| match curve {
                OutlineCurve::Line(a, b) => OutlineCurve::Line(place(a), place(b)),
                OutlineCurve::Quad(a, b, c) => OutlineCurve::Quad(place(a), place(b), place(c)),
                OutlineCurve::Cubic(a, b, c, d) => {
                    OutlineCurve::Cubic(place(a), place(b), place(c), place(d))
                }
            });
            Some(placed.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_hangul_syllable_latin_and_kana() {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            let face = face(style);
            let wanted = ('가'..='힣')
                .chain(' '..='~')
                .chain('ァ'..='ヶ')
                .chain('ぁ'..='ん');
            assert_eq!(wanted.filter(|&c| !face.has(c)).collect::<String>(), "");
            assert!("·–—…×→←≤≥±−°µ%₩€¥「」‘’“”•".chars().all(|c| face.has(c)));
            assert!(!face.has('🔥'));
        }
    }

    #[test]
    fn width_grows_with_text_and_size() {
        let face = face(FontStyle::Normal);
        assert_eq!(face.width("", 100.0), 0.0);
        assert!(face.width("00", 100.0) > face.width("0", 100.0));
        assert!(face.width("0", 200.0) > face.width("0", 100.0));
        assert!(
            face.width("🔥", 100.0) > 0.0,
            "the box for a missing glyph takes room"
        );
    }
}
