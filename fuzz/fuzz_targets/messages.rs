//! Every function of messages, with any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logtally::query::functions::any_text;

fuzz_target!(|message: &str| any_text::hold_for(message));
