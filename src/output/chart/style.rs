//! Sizes and colours: everything to change for another look.
//!
//! Lengths are in pixels, chosen to be legible when 1600 pixels are shown as 600.

use plotters::style::{FontStyle, RGBColor};

use super::font::face;

pub const WIDTH: i32 = super::WIDTH as i32;
pub const HEIGHT: i32 = super::HEIGHT as i32;

pub const MARGIN_X: i32 = 60;
pub const MARGIN_TOP: i32 = 48;
pub const MARGIN_BOTTOM: i32 = 38;
pub const TEXT_WIDTH: i32 = WIDTH - 2 * MARGIN_X;
/// Between the blocks: heading, plot, footer.
pub const BLOCK_GAP: i32 = 28;
/// Between what belongs together: title and subtitle, axis and its labels.
pub const GAP: i32 = 16;

pub const BACKGROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub const ACCENT: RGBColor = RGBColor(0x2f, 0x6d, 0xb5);
pub const INK: RGBColor = RGBColor(0x11, 0x18, 0x27);
pub const INK_SOFT: RGBColor = RGBColor(0x37, 0x41, 0x51);
pub const INK_FAINT: RGBColor = RGBColor(0x6b, 0x72, 0x80);
pub const RULE: RGBColor = RGBColor(0xe2, 0xe5, 0xea);
pub const AXIS: RGBColor = RGBColor(0x9c, 0xa3, 0xaf);
pub const HATCH: RGBColor = RGBColor(0xc2, 0xc8, 0xd2);
pub const HATCH_BACKGROUND: RGBColor = RGBColor(0xf6, 0xf7, 0xf9);

/// How a text is set.
#[derive(Clone, Copy)]
pub struct Type {
    /// Height of the em square.
    pub size: i32,
    pub style: FontStyle,
    pub color: RGBColor,
}

impl Type {
    const fn regular(size: i32, color: RGBColor) -> Self {
        Self {
            size,
            style: FontStyle::Normal,
            color,
        }
    }

    const fn bold(size: i32, color: RGBColor) -> Self {
        Self {
            size,
            style: FontStyle::Bold,
            color,
        }
    }

    /// How much room the text takes from left to right.
    pub fn width(self, text: &str) -> i32 {
        face(self.style).width(text, f64::from(self.size)).ceil() as i32
    }

    /// From one baseline to the next.
    pub fn line_height(self) -> i32 {
        self.size * 13 / 10
    }

    /// From the top of the first line's capitals to below the last line's descenders.
    pub fn block_height(self, lines: usize) -> i32 {
        match lines {
            0 => 0,
            _ => self.line_height() * (lines as i32 - 1) + self.size,
        }
    }
}

/// A title takes the first of its sizes at which it fits on one line.
pub const TITLE_SIZES: [i32; 3] = [48, 42, 36];
pub const TITLE: Type = Type::bold(TITLE_SIZES[0], INK);
pub const SUBTITLE: Type = Type::regular(32, INK_SOFT);
pub const AXIS_TITLE: Type = Type::regular(26, INK_FAINT);
/// The labels of the points take the first size at which each has its label.
pub const TICK_SIZES: [i32; 3] = [28, 25, 22];
pub const TICK: Type = Type::regular(TICK_SIZES[0], INK_SOFT);
pub const PEAK: Type = Type::bold(30, INK);
pub const MESSAGE: Type = Type::bold(56, INK_FAINT);
pub const FOOTER: Type = Type::regular(23, INK_FAINT);

pub const GRID_LINE: i32 = 1;
pub const AXIS_LINE: i32 = 2;
pub const TICK_LENGTH: i32 = 8;
/// Between the labels of neighbouring points.
pub const TICK_LABEL_GAP: i32 = 10;
/// A point's label longer than this, and than its slot, is cut.
pub const LONGEST_TICK_LABEL: i32 = 220;

/// A zero is a hairline on the axis; whatever is not zero stands clearly higher.
pub const ZERO_HEIGHT: i32 = 3;
pub const SMALLEST_HEIGHT: i32 = 7;
/// Bars are this share of their slot, until it gets too narrow for a gap.
pub const BAR_SHARE: f64 = 0.74;
pub const NARROW_SLOT: f64 = 4.0;
/// A single bar need not fill the plot.
pub const WIDEST_BAR: i32 = 160;

pub const LINE_WIDTH: u32 = 5;
pub const MARKER_RADIUS: i32 = 7;
/// The ring of background around a marker.
pub const RING: i32 = 3;
/// With less distance markers would hide the line.
pub const MARKER_SLOT: f64 = 18.0;

/// Between the peak and its label.
pub const PEAK_GAP: i32 = 12;
/// Between the peak and the top of the plot.
pub const PEAK_LABEL_ROOM: i32 = PEAK_GAP + PEAK.size;

pub const HATCH_GAP: i32 = 12;
pub const HATCH_WIDTH: u32 = 2;
/// The width of the legend's sample.
pub const LEGEND_SAMPLE: i32 = 36;
