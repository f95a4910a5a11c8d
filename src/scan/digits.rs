//! Numbers in decimal digits, eight of them at once. Pure.

/// The number that eight digits are; `None` where one is no digit.
///
/// The digits are the bytes of one word: their neighbours are joined to pairs, the pairs to fours, and these to the number, each
/// with one multiplication for all of them.
#[inline]
pub fn eight(digits: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    const NOT_DIGITS: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    let values = u64::from_le_bytes(digits) ^ ZEROS;
    // 10 to 15 and six more sets the fifth bit.
    if (values | values.wrapping_add(SIXES)) & NOT_DIGITS != 0 {
        return None;
    }
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    let pairs = values * 10 + (values >> 8);
    let first = (pairs & EVERY_FOURTH).wrapping_mul(100 | (1_000_000 << 32));
    let second = ((pairs >> 16) & EVERY_FOURTH).wrapping_mul(1 | (10_000 << 32));
    Some(first.wrapping_add(second) >> 32)
}

/// The number that thirteen digits are, as milliseconds since 1970 have from 2001 to 2286; `None` where one is no digit.
#[inline]
pub fn thirteen(digits: &[u8; 13]) -> Option<i64> {
    let (first, last) = (digits.first_chunk()?, digits.last_chunk()?);
    let number = eight(*first)? / 1000 * 100_000_000 + eight(*last)?;
    Some(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_the_number_that_they_spell(number in 0_u64..100_000_000, long in 0_i64..10_000_000_000_000) {
            let text = format!("{number:08}");
            prop_assert_eq!(eight(*text.as_bytes().first_chunk().unwrap()), Some(number));
            let text = format!("{long:013}");
            prop_assert_eq!(thirteen(text.as_bytes().first_chunk().unwrap()), Some(long));
        }

        #[test]
        fn other_bytes_are_no_number(number in 0_i64..10_000_000_000_000, at in 0_usize..13, byte: u8) {
            prop_assume!(!byte.is_ascii_digit());
            let mut text = format!("{number:013}").into_bytes();
            text[at] = byte;
            prop_assert_eq!(thirteen(text.first_chunk().unwrap()), None);
        }
    }
}
