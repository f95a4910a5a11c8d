//! The names of lines at their right ends, moved apart where they would overlap.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn};
use super::fit::cut_names;
use super::marks::Plot;
use super::style::*;
use crate::chart::model::{Figure, Marks};
use crate::chart::text::normalize;

/// The names of a figure's lines.
pub struct LineNames {
    /// Name and colour of each line, and the category and value at its end.
    names: Vec<(String, RGBColor, (usize, f64))>,
}

impl LineNames {
    /// The names of several lines; a single line has none.
    pub fn new(figure: &Figure, style: &Style) -> Self {
        let layers = match &figure.marks {
            Marks::Lines(layers) | Marks::Bands(layers) if layers.len() > 1 => &layers[..],
            _ => &[],
        };
        let font = style.name(style.palette.ink_soft);
        // On a narrow figure the lines need the space.
        let longest = style.px(LONGEST_NAME).min(style.width / 4);
        let names: Vec<String> = layers.iter().map(|layer| normalize(&layer.name)).collect();
        let names = cut_names(&names, font, longest).into_iter();
        let names = layers
            .iter()
            .zip(names)
            .enumerate()
            .filter_map(|(place, (layer, name))| {
                let last = (0..layer.values.len())
                    .rev()
                    .find_map(|category| Some((category, layer.value(category)?)))?;
                let color = style.palette.layer(layer.role);
                let color = match figure.marks {
                    Marks::Bands(_) => style.palette.band(place),
                    _ => color,
                };
                Some((name, color, last))
            });
        Self {
            names: names.collect(),
        }
    }

    /// The width that they take to the right of the plot.
    pub fn width(&self, style: &Style) -> i32 {
        let font = style.name(style.palette.ink_soft);
        let widest = self.names.iter().map(|(name, ..)| font.width(name)).max();
        widest.map_or(0, |widest| widest + style.px(GAP) * 5 / 2)
    }

    pub fn draw(&self, canvas: &Canvas<'_>, plot: &Plot) -> Drawn {
        let style = canvas.style;
        let font = style.name(style.palette.ink_soft);
        let mut wanted: Vec<(i32, &str, RGBColor)> = self
            .names
            .iter()
            .map(|(name, color, (_, value))| (plot.y_of(*value), name.as_str(), *color))
            .collect();
        wanted.sort_by_key(|&(y, ..)| y);
        let room = plot.y.end - plot.y.start;
        // Without space for all: the lines with the highest ends, and the number of the others.
        let fitting = (room / font.size).max(1) as usize;
        let more = match wanted.len() > fitting {
            true => format!("+{}", wanted.len() + 1 - fitting),
            false => String::new(),
        };
        if !more.is_empty() {
            wanted.truncate(fitting - 1);
            wanted.push((plot.y.end, &more, style.palette.background));
        }
        let distance = font.line_height().min(room / wanted.len().max(1) as i32);
        let places = apart(wanted.iter().map(|&(y, ..)| y), distance, &plot.y);
        let left = plot.x.pixels.end + style.px(GAP);
        for ((_, name, color), y) in wanted.into_iter().zip(places) {
            let radius = style.px(GAP) / 2;
            if color != style.palette.background {
                canvas.dot((left + radius, y), radius, color)?;
            }
            let at = (left + 2 * radius + style.px(GAP) / 2, y);
            canvas.text(name, font, at, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    }
}

/// Ascending positions, moved apart to be at least `distance` from each other, and inside `room`.
fn apart(wanted: impl Iterator<Item = i32>, distance: i32, room: &Range<i32>) -> Vec<i32> {
    let mut places: Vec<i32> = wanted.collect();
    let mut free = room.start;
    for place in &mut places {
        *place = (*place).max(free);
        free = *place + distance;
    }
    let mut free = room.end;
    for place in places.iter_mut().rev() {
        *place = (*place).min(free);
        free = *place - distance;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_moved_apart_and_stay_inside() {
        let apart = |wanted: &[i32]| apart(wanted.iter().copied(), 10, &(0..100));
        assert_eq!(apart(&[20, 50]), [20, 50]);
        assert_eq!(apart(&[20, 22, 23]), [20, 30, 40]);
        assert_eq!(apart(&[97, 98, 99]), [80, 90, 100]);
        assert_eq!(apart(&[]), [0; 0]);
    }
}
