//! Any text taken apart by any pattern: with wildcards, as a regular expression and as grok.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logtally::query::functions::any_text;

fuzz_target!(|input: (&str, &str)| any_text::hold_for_pattern(input.0, input.1));
