//! Charts of answers: [`model`] is what a chart shows, [`build`] makes it of an answer's rows, [`render`] draws it as PNG
//! or SVG, and [`terminal`] in Unicode blocks.

pub mod build;
pub mod model;
pub mod render;
pub mod terminal;
