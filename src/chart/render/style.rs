//! Sizes: everything to change for another look. Colours are in [`palette`](super::palette).
//!
//! Lengths are those of a chart of 1600×900 pixels, chosen to be legible when it is shown 600 pixels wide; [`Style::px`]
//! turns them into the pixels of a chart of another size.

use plotters::style::{FontStyle, RGBColor};

use super::font::face;
use super::palette::Palette;
use crate::chart::model::Look;

pub const MARGIN_X: i32 = 60;
pub const MARGIN_TOP: i32 = 48;
pub const MARGIN_BOTTOM: i32 = 38;
/// Between the blocks: heading, plot, footer.
pub const BLOCK_GAP: i32 = 28;
/// Between what belongs together: title and subtitle, axis and its labels.
pub const GAP: i32 = 16;

/// A title takes the first of its sizes at which it fits on one line.
pub const TITLE_SIZES: [i32; 3] = [48, 42, 36];
/// The labels of the slots take the first size at which each has its label.
pub const TICK_SIZES: [i32; 3] = [28, 25, 22];

pub const GRID_LINE: i32 = 1;
pub const AXIS_LINE: i32 = 2;
pub const TICK_LENGTH: i32 = 8;
/// Between the labels of neighbouring slots.
pub const TICK_LABEL_GAP: i32 = 10;
/// Between labels that stand for several slots each.
pub const SPARSE_LABEL_GAP: i32 = 26;
/// A slot's label longer than this, and than its slot, is cut.
pub const LONGEST_TICK_LABEL: i32 = 220;
/// The names of series in the legend and at the lines, and those of a heatmap's rows, lose their middle beyond this.
pub const LONGEST_NAME: i32 = 400;

/// A zero is a hairline on the axis; whatever is not zero stands clearly higher.
pub const ZERO_HEIGHT: i32 = 3;
pub const SMALLEST_HEIGHT: i32 = 7;
/// Of a part of a bar, which needs to be seen only.
pub const SMALLEST_PART: i32 = 5;
/// Between the parts of a bar.
pub const PART_GAP: i32 = 2;
/// Bars are this share of their slot, until it gets too narrow for a gap.
pub const BAR_SHARE: f64 = 0.74;
pub const NARROW_SLOT: i32 = 4;
/// A single bar need not fill the plot.
pub const WIDEST_BAR: i32 = 160;
/// How much of its colour a bar keeps behind the hatching that says that it may grow.
pub const PROVISIONAL_TINT: f64 = 0.30;
/// How much of the badge's colour the hatching behind lines and zeros has.
pub const BEHIND_TINT: f64 = 0.35;

/// Around colours that would not be seen on the background by themselves.
pub const OUTLINE: i32 = 2;

pub const LINE_WIDTH: i32 = 5;
/// Where there are many, lines are thinner.
pub const THIN_LINE_WIDTH: i32 = 4;
pub const MARKER_RADIUS: i32 = 7;
/// The ring of background around a marker or the line of the earlier window.
pub const RING: i32 = 3;
/// With less distance markers would hide the line.
pub const MARKER_SLOT: i32 = 18;
/// The line that the marks are held against.
pub const EARLIER_WIDTH: i32 = 3;

/// Between the peak and its label.
pub const PEAK_GAP: i32 = 12;

pub const HATCH_GAP: i32 = 12;
pub const HATCH_WIDTH: i32 = 2;
/// The legend's samples.
pub const SAMPLE_WIDTH: i32 = 36;
pub const SAMPLE_HEIGHT: i32 = 22;
pub const LEGEND_GAP: i32 = 34;
/// Names are cut further where there would be more rows than this.
pub const MOST_LEGEND_ROWS: usize = 3;
/// A legend leaves out its last rows where the plot would be lower than this.
pub const LEAST_PLOT: i32 = 140;
/// A footer is not cut: this is only what ends it on a chart that is hardly wider than a word.
pub const MOST_FOOTER_LINES: usize = 6;

/// Between the cells of a heatmap.
pub const CELL_GAP: i32 = 3;
/// A heatmap of few rows need not fill the plot.
pub const TALLEST_CELL: i32 = 200;
/// The legend's scale of colours.
pub const HEAT_SCALE_WIDTH: i32 = 240;

/// Below this share of a full chart's size, texts would be too small to read.
const LEAST_UNIT: f64 = 0.5;

/// A chart that is lower than this has no title of its x axis, and does not name its sources.
const LEAST_FULL_HEIGHT: u32 = 340;

/// A chart's sizes in its pixels, and its colours.
pub struct Style {
    pub width: i32,
    pub height: i32,
    pub palette: &'static Palette,
    /// Whether there is no room for what can be done without.
    pub is_low: bool,
    /// Pixels for each unit of the lengths above.
    unit: f64,
}

impl Style {
    pub fn new(look: &Look) -> Self {
        let (width, height) = look.pixels();
        let share = (f64::from(look.width) / 1600.0).min(f64::from(look.height) / 900.0);
        Self {
            width: width as i32,
            height: height as i32,
            palette: Palette::of(look.theme),
            is_low: look.height < LEAST_FULL_HEIGHT,
            unit: share.max(LEAST_UNIT) * look.scale,
        }
    }

    /// A length in pixels, at least one.
    pub fn px(&self, length: i32) -> i32 {
        ((f64::from(length) * self.unit).round() as i32).max(1)
    }

    /// The room between the margins.
    pub fn text_width(&self) -> i32 {
        self.width - 2 * self.px(MARGIN_X)
    }

    fn regular(&self, size: i32, color: RGBColor) -> Type {
        Type {
            size: self.px(size),
            style: FontStyle::Normal,
            color,
        }
    }

    fn bold(&self, size: i32, color: RGBColor) -> Type {
        Type {
            style: FontStyle::Bold,
            ..self.regular(size, color)
        }
    }

    pub fn titles(&self) -> [Type; 3] {
        TITLE_SIZES.map(|size| self.bold(size, self.palette.ink))
    }

    pub fn subtitle(&self) -> Type {
        self.regular(32, self.palette.ink_soft)
    }

    pub fn badge(&self) -> Type {
        self.bold(25, self.palette.badge)
    }

    pub fn axis_title(&self) -> Type {
        self.regular(26, self.palette.ink_faint)
    }

    pub fn legend(&self) -> Type {
        self.regular(26, self.palette.ink_soft)
    }

    pub fn ticks(&self) -> [Type; 3] {
        TICK_SIZES.map(|size| self.regular(size, self.palette.ink_soft))
    }

    pub fn tick(&self) -> Type {
        self.regular(TICK_SIZES[0], self.palette.ink_soft)
    }

    pub fn group(&self) -> Type {
        self.regular(24, self.palette.ink_faint)
    }

    pub fn note(&self) -> Type {
        self.regular(23, self.palette.badge)
    }

    pub fn peak(&self) -> Type {
        self.bold(30, self.palette.ink)
    }

    pub fn name(&self, color: RGBColor) -> Type {
        self.bold(25, color)
    }

    pub fn message(&self) -> Type {
        self.bold(56, self.palette.ink_faint)
    }

    pub fn footer(&self) -> Type {
        self.regular(23, self.palette.ink_faint)
    }
}

/// How a text is set.
#[derive(Clone, Copy)]
pub struct Type {
    /// Height of the em square in pixels.
    pub size: i32,
    pub style: FontStyle,
    pub color: RGBColor,
}

impl Type {
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

    /// The same in another colour.
    pub fn colored(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }
}
