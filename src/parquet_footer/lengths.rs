//! The lengths and the nesting of a footer, which is one structure in Thrift's compact protocol. Pure.
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// Structures in structures, and columns in columns. No table has so many.
const DEEPEST: usize = 100;

/// The list of the columns among the members of the footer, and the number of the columns in a column among its own.
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;

/// The types of the protocol whose values are looked into.
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Checks that all that a footer says of its lengths fits into it, and that its columns are not nested deeply.
///
/// # Errors
/// What is wrong with it.
pub fn check(footer: &[u8]) -> Result<(), &'static str> {
    const UNFIT: &str = "a length in its footer is larger than the footer";
    let mut cursor = Cursor { rest: footer };
    let mut id = 0;
    loop {
        match cursor.field(&mut id).ok_or(UNFIT)? {
            None => return Ok(()),
            Some(LIST) if id == SCHEMA => {
                let (kind, count) = cursor.list().ok_or(UNFIT)?;
                match kind {
                    STRUCT => cursor.schema(count).ok_or(UNFIT)??,
                    _ => cursor.items(kind, count, 1).ok_or(UNFIT)?,
                }
            }
            Some(kind) => cursor.skip(kind, 1).ok_or(UNFIT)?,
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose lowest bit is its sign.
    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The type of the next member of a structure, whose number is put into `id`; none at the end of the structure.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *id = match head >> 4 {
            0 => self.signed()?,
            more => id.checked_add(more.into())?,
        };
        Some(Some(head & 0x0f))
    }

    /// The type and the number of the items of a list. Each has a byte at least.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            few => few.into(),
        };
        (count <= self.rest.len() as u64).then_some((head & 0x0f, count))
    }

    fn items(&mut self, kind: u8, count: u64, depth: usize) -> Option<()> {
        for _ in 0..count {
            match kind {
                // As a member it is in the type.
                1 | 2 => self.bytes(1)?,
                kind => self.skip(kind, depth)?,
            }
        }
        Some(())
    }

    /// Steps over a value.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            3 => self.bytes(1),
            4..=6 => self.number().map(drop),
            7 => self.bytes(8),
            8 => {
                let length = self.number()?;
                self.bytes(length)
            }
            LIST | 10 => {
                let (kind, count) = self.list()?;
                self.items(kind, count, depth + 1)
            }
            11 => {
                let count = self.number()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                for _ in 0..count {
                    self.items(kinds >> 4, 1, depth + 1)?;
                    self.items(kinds & 0x0f, 1, depth + 1)?;
                }
                Some(())
            }
            STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            13 => self.bytes(16),
            _ => None,
        }
    }

    /// The columns: each says how many of those behind it are its own.
    fn schema(&mut self, count: u64) -> Option<Result<(), &'static str>> {
        let mut open: Vec<u64> = Vec::new();
        for number in 0..count {
            let mut children = 0;
            let mut id = 0;
            while let Some(kind) = self.field(&mut id)? {
                match (id, kind) {
                    (CHILDREN, I32) => children = self.signed()?,
                    _ => self.skip(kind, 1)?,
                }
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            let children = u64::try_from(children).ok()?;
            if children > count - number {
                return None;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > DEEPEST {
                return Some(Err("its columns are in each other more than 100 deep"));
            }
        }
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with columns, of each the number of its own, and of some bytes behind them.
    fn footer(columns: &[u8], behind: &[u8]) -> Vec<u8> {
        // The version, then the list of the columns.
        let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
        let mut count = columns.len();
        while count > 0x7f {
            footer.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        footer.push(count as u8);
        for children in columns {
            // A name of one letter, then the number of its own columns.
            footer.extend([0x48, 0x01, b'a', 0x15, children << 1, 0x00]);
        }
        footer.extend(behind);
        footer
    }

    #[test]
    fn what_fits_is_read() {
        // The number of rows, and a list of no row groups.
        assert_eq!(
            check(&footer(&[2, 0, 1, 0], &[0x16, 0x00, 0x19, 0x0c, 0x00])),
            Ok(())
        );
    }

    #[test]
    fn a_list_that_is_longer_than_the_file_is_refused() {
        // Row groups: 2^31 - 1 of them.
        let many = [0x16, 0x00, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert!(check(&footer(&[1, 0], &many)).is_err());
        // A column with more columns than there are.
        assert!(check(&footer(&[1, 60, 0], &[0x00])).is_err());
        // A name that is longer than the file, and the end of the footer.
        assert!(check(&[0x19, 0x1c, 0x48, 0xff, 0xff, 0x03, b'a', 0x00, 0x00]).is_err());
        assert!(check(&footer(&[1, 0], &[])).is_err());
        assert!(check(b"").is_err());
    }

    #[test]
    fn deep_columns_are_refused() {
        let deep = |levels: usize| {
            let mut columns = vec![1; levels];
            columns.push(0);
            check(&footer(&columns, &[0x00]))
        };
        assert_eq!(deep(DEEPEST), Ok(()));
        assert!(deep(DEEPEST + 1).unwrap_err().contains("in each other"));
        assert!(deep(100_000).is_err());
        // Lists in lists, which no footer has.
        let lists = [&[0x19][..], &[0x19; 1000]].concat();
        assert!(check(&lists).is_err());
    }
}
