//! What a client leaves behind under names: prepared statements, portals, cursors. Each kind has a bound, so that a client that
//! closes none of them takes a bounded part of the server's memory.

use std::collections::HashMap;

use crate::serve::errors::Refusal;

/// The most of a kind. Pools of clients keep at most a few hundred.
const MOST: usize = 1000;

/// The most bytes of what the client has sent for all of a kind.
const MOST_BYTES: usize = 32 << 20;

/// Values of one kind, by name.
pub struct Kept<T> {
    /// The kind, in the plural.
    kind: &'static str,
    /// With the bytes that the client has sent for each.
    all: HashMap<String, (T, usize)>,
    bytes: usize,
}

impl<T> Kept<T> {
    /// None of a kind, which is named in the plural.
    pub fn of(kind: &'static str) -> Self {
        Self {
            kind,
            all: HashMap::new(),
            bytes: 0,
        }
    }

    /// Ensures that a value of `bytes` has room under a name, in place of the one that has it.
    ///
    /// # Errors
    /// `configuration_limit_exceeded`, with the bound.
    pub fn ensure_room(&self, name: &str, bytes: usize) -> Result<(), Refusal> {
        let replaced = self.all.get(name).map(|(_, bytes)| *bytes);
        let count = self.all.len() + usize::from(replaced.is_none());
        let sum = self.bytes - replaced.unwrap_or_default() + bytes;
        if count <= MOST && sum <= MOST_BYTES {
            return Ok(());
        }
        let kind = self.kind;
        let what = if count > MOST {
            format!("a connection keeps at most {MOST} {kind}")
        } else {
            format!(
                "a connection keeps at most {} MiB of {kind}",
                MOST_BYTES >> 20
            )
        };
        Err(Refusal::new("53400", what).with_hint("close those that are no longer needed"))
    }

    /// Keeps a value for which the client has sent `bytes`.
    pub fn insert(&mut self, name: String, value: T, bytes: usize) {
        self.bytes += bytes;
        if let Some((_, replaced)) = self.all.insert(name, (value, bytes)) {
            self.bytes -= replaced;
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.all.get(name).map(|(value, _)| value)
    }

    /// Takes the value of a name out, with its bytes.
    pub fn take(&mut self, name: &str) -> Option<(T, usize)> {
        let taken = self.all.remove(name)?;
        self.bytes -= taken.1;
        Some(taken)
    }

    /// Takes the value of a name out.
    pub fn remove(&mut self, name: &str) -> Option<T> {
        self.take(name).map(|(value, _)| value)
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.all.clear();
        self.bytes = 0;
    }

    /// Whether the name has a value.
    pub fn contains_key(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The names, in any order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.all.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_closes_nothing_is_refused_in_the_end() {
        let mut kept = Kept::of("prepared statements");
        for number in 0..MOST {
            let name = format!("s{number}");
            kept.ensure_room(&name, 10).unwrap();
            kept.insert(name, (), 10);
        }
        let refusal = kept.ensure_room("one more", 10).unwrap_err();
        assert_eq!(refusal.code, "53400");
        assert_eq!(
            refusal.message,
            "a connection keeps at most 1000 prepared statements"
        );
        kept.ensure_room("s0", 10)
            .expect("it takes the place of another");
        kept.remove("s1");
        kept.ensure_room("one more", 10).unwrap();
    }

    #[test]
    fn bytes_are_given_back() {
        let mut kept = Kept::of("portals");
        kept.insert("large".to_owned(), (), MOST_BYTES);
        let refusal = kept.ensure_room("small", 1).unwrap_err();
        assert_eq!(
            refusal.message,
            "a connection keeps at most 32 MiB of portals"
        );
        kept.ensure_room("large", MOST_BYTES).unwrap();
        kept.insert("large".to_owned(), (), 1);
        kept.ensure_room("small", MOST_BYTES - 1).unwrap();
        let (value, bytes) = kept.take("large").unwrap();
        kept.insert("large".to_owned(), value, bytes);
        kept.ensure_room("small", MOST_BYTES).unwrap_err();
        kept.clear();
        kept.ensure_room("small", MOST_BYTES).unwrap();
    }
}
