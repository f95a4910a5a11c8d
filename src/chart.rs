//! Charts of answers.
//!
//! ```text
//! rows of an answer ─► build ─► model ─┬─► render      SVG, PNG
//!                                      └─► terminal    Unicode blocks
//! ```
//!
//! [`build`] and the two that draw know only [`model`], not each other.

pub mod build;
pub mod model;
mod names;
pub mod render;
mod stack;
pub mod terminal;
pub mod text;
mod value_range;
