//! Which object columns are kept of, and as it was read.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::layout::cloudwatch::LogObject;

/// Raised where a scan finds other events in the same bytes than before, or where blocks or packs have another layout:
/// what was kept before is then not found any more.
const VERSION: u32 = 1;

/// An object by its place, its bytes, and how its events are found in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ObjectKey(u128);

impl ObjectKey {
    /// The key of an object of the store whose keys stand behind `place`. What is masked is kept masked, under a key of its
    /// own.
    pub(super) fn of(place: &str, object: &LogObject, masks: bool) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(&VERSION.to_le_bytes());
        // What is masked may differ from version to version.
        add(match masks {
            true => env!("CARGO_PKG_VERSION").as_bytes(),
            false => b"",
        });
        add(place.as_bytes());
        add(object.place.as_bytes());
        add(object.name.as_bytes());
        add(&object.size.to_le_bytes());
        add(object.e_tag.as_deref().unwrap_or_default().as_bytes());
        if let Some(requested) = object.requested.as_deref() {
            add(&requested.start_ms.to_le_bytes());
            add(&requested.end_ms.to_le_bytes());
        }
        let hash = hash.finalize();
        Self(
            hash.first_chunk::<16>()
                .map_or(0, |bytes| u128::from_le_bytes(*bytes)),
        )
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        let hash = Sha256::digest(name);
        Self(u128::from_le_bytes(*hash.first_chunk::<16>().unwrap()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Range;
    use std::sync::Arc;

    #[test]
    fn another_place_content_or_reading_has_another_key() {
        let meta = object_store::ObjectMeta {
            location: "t/a/000000.gz".into(),
            last_modified: Default::default(),
            size: 7,
            e_tag: Some("tag".to_owned()),
            version: None,
        };
        let object = LogObject::new(&meta, None).unwrap();
        let key = ObjectKey::of("s3://one/", &object, false);
        let again = LogObject::new(&meta, Some("of a group")).unwrap();
        assert_eq!(ObjectKey::of("s3://one/", &again, false), key);
        let with = |change: fn(&mut LogObject)| {
            let mut other = object.clone();
            change(&mut other);
            ObjectKey::of("s3://one/", &other, false)
        };
        let others = [
            ObjectKey::of("s3://other/", &object, false),
            ObjectKey::of("s3://one/", &object, true),
            with(|object| object.size = 8),
            with(|object| object.e_tag = Some("other".into())),
            with(|object| object.name = "a/000001.gz".into()),
            with(|object| object.requested = Some(Arc::new(Range::ALL))),
        ];
        assert!(others.iter().all(|other| *other != key));
        assert_eq!(String::from(key).try_into(), Ok(key));
    }
}
