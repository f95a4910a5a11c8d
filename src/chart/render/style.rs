//! Sizes of everything that is drawn. Colours are in [`palette`](super::palette).
//!
//! Lengths are pixels of a figure of 1600×900, chosen to be legible when it is shown 600 pixels wide; [`Style::px`]
//! converts them to the pixels of a figure of another size.

use plotters::style::{FontStyle, RGBColor};

use super::font::{CAP_HEIGHT, face};
use super::palette::Palette;
use crate::chart::model::Appearance;

pub const MARGIN_X: i32 = 60;
pub const MARGIN_TOP: i32 = 48;
pub const MARGIN_BOTTOM: i32 = 38;
/// Between heading, plot and footer.
pub const BLOCK_GAP: i32 = 28;
/// Between neighbours within a block: title and subtitle, axis and labels.
pub const GAP: i32 = 16;

/// A title has the first size at which it fits on one line.
pub const TITLE_SIZES: [i32; 3] = [48, 42, 36];
/// Tick labels have the first size at which there is room for all of them.
pub const TICK_SIZES: [i32; 3] = [28, 25, 22];

/// The names of rows have the first size at which there is room for all rows.
pub const ROW_NAME_SIZES: [i32; 6] = [28, 25, 22, 19, 16, 14];
/// Smaller names, in pixels, can't be read.
pub const LEAST_ROW_NAME: i32 = 10;
/// Few rows do not fill the plot.
pub const TALLEST_ROW: i32 = 90;

pub const GRID_LINE: i32 = 1;
pub const AXIS_LINE: i32 = 2;
pub const TICK_LENGTH: i32 = 8;
/// Between the labels of neighbouring categories.
pub const TICK_LABEL_GAP: i32 = 10;
/// Between labels where only some categories have one.
pub const SPARSE_LABEL_GAP: i32 = 26;
/// A tick label wider than this, and than its category, is cut.
pub const LONGEST_TICK_LABEL: i32 = 220;
/// Wider names of series and of a heatmap's rows lose their middle.
pub const LONGEST_NAME: i32 = 400;

/// The height of a zero, a thin line on the axis; all other bars are clearly higher.
pub const ZERO_HEIGHT: i32 = 3;
pub const SMALLEST_HEIGHT: i32 = 7;
/// The least height of a part of a bar that is not zero.
pub const SMALLEST_PART: i32 = 5;
/// Between the parts of a bar.
pub const PART_GAP: i32 = 2;
/// The width of a bar as a share of its category's.
pub const BAR_SHARE: f64 = 0.74;
/// Bars of narrower categories touch.
pub const NARROW_CATEGORY: i32 = 4;
/// Few bars do not fill the plot.
pub const WIDEST_BAR: i32 = 160;
/// The share of its colour that a provisional bar has behind the hatching.
pub const PROVISIONAL_TINT: f64 = 0.30;
/// The share of the badge's colour that the hatching behind lines and zeros has.
pub const BEHIND_TINT: f64 = 0.35;

/// Around colours that are too pale for the background.
pub const OUTLINE: i32 = 2;

pub const LINE_WIDTH: i32 = 5;
/// Of each of many lines.
pub const THIN_LINE_WIDTH: i32 = 4;
pub const MARKER_RADIUS: i32 = 7;
/// The background around a marker and around the line of the earlier window.
pub const RING: i32 = 3;
/// On narrower categories markers would hide the line.
pub const MARKER_CATEGORY: i32 = 18;
/// The line of the earlier window.
pub const EARLIER_WIDTH: i32 = 3;

/// Between the peak and its label.
pub const PEAK_GAP: i32 = 12;

pub const HATCH_GAP: i32 = 12;
pub const HATCH_WIDTH: i32 = 2;
/// The legend's swatches.
pub const SWATCH_WIDTH: i32 = 36;
pub const SWATCH_HEIGHT: i32 = 22;
pub const LEGEND_GAP: i32 = 34;
/// Names are cut further where the legend would have more rows.
pub const MOST_LEGEND_ROWS: usize = 3;
/// The legend leaves out its last rows where the plot would be lower.
pub const LEAST_PLOT: i32 = 140;
/// The footer is cut only on a figure that is hardly wider than a word.
pub const MOST_FOOTER_LINES: usize = 6;

/// Between the cells of a heatmap.
pub const CELL_GAP: i32 = 3;
/// The cells of few rows do not fill the plot.
pub const TALLEST_CELL: i32 = 200;
/// The legend's scale of colours.
pub const HEAT_SCALE_WIDTH: i32 = 240;

/// Texts that shrink further can't be read.
const LEAST_UNIT: f64 = 0.5;

/// A lower figure has no title of its x axis and does not name its sources.
const LEAST_FULL_HEIGHT: u32 = 340;

/// A figure's sizes in pixels, and its colours.
pub struct Style {
    pub width: i32,
    pub height: i32,
    pub palette: &'static Palette,
    /// Whether the figure is too low for the less important texts.
    pub is_low: bool,
    /// Pixels for each unit of the lengths above.
    unit: f64,
}

impl Style {
    pub fn new(appearance: &Appearance) -> Self {
        let (width, height) = appearance.pixels();
        let share =
            (f64::from(appearance.width) / 1600.0).min(f64::from(appearance.height) / 900.0);
        Self {
            width: width as i32,
            height: height as i32,
            palette: Palette::of(appearance.theme),
            is_low: appearance.height < LEAST_FULL_HEIGHT,
            unit: share.max(LEAST_UNIT) * appearance.scale,
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

    fn regular(&self, size: i32, color: RGBColor) -> Font {
        Font {
            size: self.px(size),
            style: FontStyle::Normal,
            color,
        }
    }

    fn bold(&self, size: i32, color: RGBColor) -> Font {
        Font {
            style: FontStyle::Bold,
            ..self.regular(size, color)
        }
    }

    pub fn titles(&self) -> [Font; 3] {
        TITLE_SIZES.map(|size| self.bold(size, self.palette.ink))
    }

    pub fn subtitle(&self) -> Font {
        self.regular(32, self.palette.ink_soft)
    }

    pub fn badge(&self) -> Font {
        self.bold(25, self.palette.badge)
    }

    pub fn axis_title(&self) -> Font {
        self.regular(26, self.palette.ink_faint)
    }

    pub fn legend(&self) -> Font {
        self.regular(26, self.palette.ink_soft)
    }

    pub fn ticks(&self) -> [Font; 3] {
        TICK_SIZES.map(|size| self.regular(size, self.palette.ink_soft))
    }

    pub fn tick(&self) -> Font {
        self.regular(TICK_SIZES[0], self.palette.ink_soft)
    }

    /// Beside rows that have numbers of their own.
    pub fn small_tick(&self) -> Font {
        self.regular(TICK_SIZES[2], self.palette.ink_soft)
    }

    pub fn row_names(&self) -> [Font; 6] {
        ROW_NAME_SIZES.map(|size| self.regular(size, self.palette.ink_soft))
    }

    pub fn group(&self) -> Font {
        self.regular(24, self.palette.ink_faint)
    }

    pub fn note(&self) -> Font {
        self.regular(23, self.palette.badge)
    }

    pub fn peak(&self) -> Font {
        self.bold(30, self.palette.ink)
    }

    pub fn name(&self, color: RGBColor) -> Font {
        self.bold(25, color)
    }

    pub fn message(&self) -> Font {
        self.bold(56, self.palette.ink_faint)
    }

    pub fn footer(&self) -> Font {
        self.regular(23, self.palette.ink_faint)
    }
}

/// Size, weight and colour of a text.
#[derive(Clone, Copy)]
pub struct Font {
    /// Height of the em square in pixels.
    pub size: i32,
    pub style: FontStyle,
    pub color: RGBColor,
}

impl Font {
    /// The width of the text in pixels.
    pub fn width(self, text: &str) -> i32 {
        face(self.style).width(text, f64::from(self.size)).ceil() as i32
    }

    /// The height of capitals and digits in pixels.
    pub fn cap_height(self) -> f64 {
        f64::from(self.size) * CAP_HEIGHT
    }

    /// From one baseline to the next.
    pub fn line_height(self) -> i32 {
        self.size * 13 / 10
    }

    /// From the top of the first line's capitals to the bottom of the last line's descenders.
    pub fn block_height(self, lines: usize) -> i32 {
        match lines {
            0 => 0,
            _ => self.line_height() * (lines as i32 - 1) + self.size,
        }
    }

    /// The same font in another colour.
    pub fn colored(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }
}
