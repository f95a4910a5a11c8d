//! Colours, for a light and a dark background.
//!
//! The colours of series were found by a computer search: each is as far as possible from the nearest other one, for
//! normal sight and for the three kinds of colour blindness at once. The test says how far that is.

use plotters::style::RGBColor;

use crate::chart::model::{MOST_SERIES, Role};
use crate::job::{MAX_BANDS, Theme};

/// The contrast that graphics need for readers with low vision (WCAG 2.2, 1.4.11).
const LEAST_CONTRAST: f64 = 3.0;

/// The colours of a theme.
#[derive(Debug)]
pub struct Palette {
    pub background: RGBColor,
    pub ink: RGBColor,
    pub ink_soft: RGBColor,
    pub ink_faint: RGBColor,
    pub rule: RGBColor,
    pub axis: RGBColor,
    pub hatch: RGBColor,
    pub hatch_background: RGBColor,
    /// The frame of the badge.
    pub badge: RGBColor,
    main: RGBColor,
    errors: RGBColor,
    fatal: RGBColor,
    /// Of what has no name: paler than all else, so that it does not draw the eye.
    unnamed: RGBColor,
    other: RGBColor,
    /// The lines of a band, which also differ in lightness: on a small picture hues alone are not told apart.
    bands: [RGBColor; MAX_BANDS],
    series: [RGBColor; MOST_SERIES],
    /// The colours of a heatmap, from zero to the highest value.
    heat: [RGBColor; 5],
}

const fn rgb(color: u32) -> RGBColor {
    RGBColor((color >> 16) as u8, (color >> 8) as u8, color as u8)
}

const LIGHT: Palette = Palette {
    background: rgb(0xffffff),
    ink: rgb(0x111827),
    ink_soft: rgb(0x374151),
    ink_faint: rgb(0x6b7280),
    rule: rgb(0xe2e5ea),
    axis: rgb(0x9ca3af),
    hatch: rgb(0xc2c8d2),
    hatch_background: rgb(0xf6f7f9),
    badge: rgb(0xb45309),
    main: rgb(0x2f6db5),
    errors: rgb(0xd1441f),
    fatal: rgb(0x600000),
    unnamed: rgb(0xdce1e8),
    other: rgb(0xa3a9b4),
    bands: [
        rgb(0x2f6db5),
        rgb(0xd97706),
        rgb(0x1f2937),
        rgb(0x6e4845),
        rgb(0x2513b8),
    ],
    series: [
        rgb(0x2f6db5),
        rgb(0xeda61f),
        rgb(0x64bd7a),
        rgb(0x3a0755),
        rgb(0x94e761),
        rgb(0x6f7e55),
        rgb(0x8c387d),
        rgb(0x52d6fd),
        rgb(0x0e5933),
        rgb(0xca70c8),
        rgb(0x4a1ea4),
        rgb(0x6c8cfd),
    ],
    heat: [
        rgb(0xeef2f7),
        rgb(0xb9d3ec),
        rgb(0x6fa3d8),
        rgb(0x2f6db5),
        rgb(0x14315c),
    ],
};

const DARK: Palette = Palette {
    background: rgb(0x0f1420),
    ink: rgb(0xf3f5f8),
    ink_soft: rgb(0xc9d0db),
    ink_faint: rgb(0x939dad),
    rule: rgb(0x262e3d),
    axis: rgb(0x667085),
    hatch: rgb(0x3b4557),
    hatch_background: rgb(0x161c2a),
    badge: rgb(0xf2b134),
    main: rgb(0x5b9bea),
    errors: rgb(0xff6b4a),
    fatal: rgb(0xcf2850),
    unnamed: rgb(0x353d4d),
    other: rgb(0x8a93a3),
    bands: [
        rgb(0x5b9bea),
        rgb(0xf2b134),
        rgb(0xf3f5f8),
        rgb(0x086d91),
        rgb(0xd40418),
    ],
    series: [
        rgb(0x5b9bea),
        rgb(0xf2b134),
        rgb(0x65d883),
        rgb(0x9737ac),
        rgb(0xabdbf3),
        rgb(0x506f0c),
        rgb(0xc8a4c3),
        rgb(0x5872da),
        rgb(0xe5e75b),
        rgb(0x816688),
        rgb(0x6cfeb9),
        rgb(0xafb5fc),
    ],
    heat: [
        rgb(0x1b2434),
        rgb(0x224a7d),
        rgb(0x3577c4),
        rgb(0x7db4f2),
        rgb(0xdcecff),
    ],
};

impl Palette {
    pub const fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Light => &LIGHT,
            Theme::Dark => &DARK,
        }
    }

    /// The colour of a layer.
    pub fn layer(&self, role: Role) -> RGBColor {
        match role {
            Role::Main => self.main,
            Role::Errors => self.errors,
            Role::Fatal => self.fatal,
            Role::Unnamed => self.unnamed,
            Role::Other => self.other,
            Role::Series(place) => self.series[place % MOST_SERIES],
        }
    }

    /// The colour of a line of a band, the lowest first.
    pub fn band(&self, place: usize) -> RGBColor {
        self.bands[place % self.bands.len()]
    }

    /// The outline of a colour that is too pale for the background. Twelve colours that need none could not all be told
    /// apart.
    pub fn outline(&self, color: RGBColor) -> Option<RGBColor> {
        let stands_out = |color: &RGBColor| contrast(*color, self.background) >= LEAST_CONTRAST;
        if stands_out(&color) {
            return None;
        }
        let mut darker = (1..=10).map(|tenths| mix(color, self.ink, f64::from(tenths) / 10.0));
        darker.find(stands_out)
    }

    /// The colour of a cell whose value is `share`, from 0 to 1, of the highest.
    pub fn heat(&self, share: f64) -> RGBColor {
        let place = share.clamp(0.0, 1.0) * (self.heat.len() - 1) as f64;
        let below = (place.floor() as usize).min(self.heat.len() - 2);
        mix(self.heat[below], self.heat[below + 1], place - below as f64)
    }

    /// The colour as it looks with an opacity of `share` over the background. It is opaque itself, as viewers treat
    /// transparency differently.
    pub fn tint(&self, color: RGBColor, share: f64) -> RGBColor {
        mix(self.background, color, share)
    }

    /// The ink or the background, whichever has more contrast to the colour.
    pub fn ink_on(&self, color: RGBColor) -> RGBColor {
        match contrast(self.ink, color) >= contrast(self.background, color) {
            true => self.ink,
            false => self.background,
        }
    }
}

/// The colour that is `share` of the way from one to another.
fn mix(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    let channel =
        |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    RGBColor(
        channel(from.0, to.0),
        channel(from.1, to.1),
        channel(from.2, to.2),
    )
}

/// The contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
fn contrast(a: RGBColor, b: RGBColor) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The relative luminance, from 0 to 1 (WCAG 2.2).
fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let [red, green, blue] = [red, green, blue].map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The linear value of a channel of sRGB, from 0 to 1.
fn linear(channel: u8) -> f64 {
    let share = f64::from(channel) / 255.0;
    match share <= 0.04045 {
        true => share / 12.92,
        false => ((share + 0.055) / 1.055).powf(2.4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linear RGB as it looks with all cones, and without one kind of them (Machado, Oliveira and Fernandes 2009,
    /// severity 1).
    const SIGHTS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
    }

    /// The colour in Oklab (Ottosson 2020), scaled to 100, where distances are those that a reader sees.
    fn seen(RGBColor(red, green, blue): RGBColor, sight: &[[f64; 3]; 3]) -> [f64; 3] {
        let linear = [red, green, blue].map(linear);
        let cones = times(
            &[
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ],
            times(sight, linear).map(|channel| channel.clamp(0.0, 1.0)),
        );
        times(
            &[
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ],
            cones.map(f64::cbrt),
        )
        .map(|axis| axis * 100.0)
    }

    fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
        let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f64>().sqrt()
    }

    #[test]
    fn series_can_be_told_apart_without_one_kind_of_cone() {
        for palette in [&LIGHT, &DARK] {
            let mut colors = palette.series.to_vec();
            colors.extend([
                palette.errors,
                palette.fatal,
                palette.other,
                palette.unnamed,
            ]);
            for sight in &SIGHTS {
                for (place, &one) in colors.iter().enumerate() {
                    for &other in &colors[..place] {
                        let distance = distance(seen(one, sight), seen(other, sight));
                        assert!(distance > 7.0, "{one:?} and {other:?}: {distance}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_lines_of_a_band_can_be_told_apart() {
        for palette in [&LIGHT, &DARK] {
            for sight in &SIGHTS {
                for (place, &one) in palette.bands.iter().enumerate() {
                    for &other in &palette.bands[..place] {
                        let distance = distance(seen(one, sight), seen(other, sight));
                        assert!(distance > 10.0, "{one:?} and {other:?}: {distance}");
                    }
                }
            }
        }
    }

    #[test]
    fn lines_and_bars_stand_out_from_the_background() {
        for palette in [&LIGHT, &DARK] {
            let mut colors = palette.series.to_vec();
            colors.extend([palette.main, palette.errors, palette.fatal, palette.other]);
            colors.extend([palette.ink_faint, palette.badge]);
            for color in colors {
                let seen = palette.outline(color).unwrap_or(color);
                let contrast = contrast(seen, palette.background);
                assert!(contrast >= LEAST_CONTRAST, "{color:?}: {contrast}");
            }
            for color in [
                palette.main,
                palette.errors,
                palette.fatal,
                palette.ink_faint,
            ] {
                assert_eq!(palette.outline(color), None);
            }
        }
    }

    #[test]
    fn higher_values_are_further_from_the_background_in_a_heatmap() {
        for palette in [&LIGHT, &DARK] {
            let contrast = |share: f64| {
                let cell = seen(palette.heat(share), &SIGHTS[0]);
                distance(cell, seen(palette.background, &SIGHTS[0]))
            };
            let steps = (0..20).map(|step| f64::from(step) / 20.0);
            for share in steps {
                assert!(contrast(share + 0.05) > contrast(share), "{share}");
            }
            assert!(contrast(0.0) > 2.0, "a zero is visible");
        }
    }

    #[test]
    fn ink_is_read_on_every_colour() {
        for palette in [&LIGHT, &DARK] {
            for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let cell = palette.heat(share);
                let contrast = contrast(palette.ink_on(cell), cell);
                // No ink has 4.5 on a colour in the middle.
                assert!(contrast >= 4.0, "{share}: {contrast}");
            }
        }
    }
}
