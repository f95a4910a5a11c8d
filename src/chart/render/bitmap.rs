//! Pixels: an SVG document rendered by resvg, and encoded as PNG.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// What resvg's parser, its memory, or the encoder failed with.
type BitmapError = Box<dyn std::error::Error + Send + Sync>;

/// A PNG of an opaque document in its width and height, with the title in an `iTXt` chunk.
pub fn encode(svg: &str, title: &str) -> Result<Vec<u8>, BitmapError> {
    let tree = Tree::from_str(svg, &Options::default())?;
    let size = tree.size().to_int_size();
    let (width, height) = (size.width(), size.height());
    let mut pixmap = Pixmap::new(width, height)
        .ok_or_else(|| format!("{width}×{height} pixels are too many"))?;
    resvg::render(&tree, Transform::identity(), &mut pixmap.as_mut());
    drop(tree);
    let pixels = without_alpha(pixmap.take());

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
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(png)
}

/// RGB out of opaque RGBA, in the same memory: a large picture has hundreds of megabytes.
fn without_alpha(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for pixel in 1..count {
        pixels.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    pixels.truncate(3 * count);
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_lose_their_alpha() {
        let rgba = [1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255];
        assert_eq!(without_alpha(rgba.to_vec()), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(without_alpha(Vec::new()).is_empty());
    }

    #[test]
    fn what_is_no_svg_is_an_error() {
        assert!(encode("<svg", "").is_err());
    }
}
