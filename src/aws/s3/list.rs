//! Listings of buckets that hold keys which object_store can't: it refuses the whole page that has one.

use aws_sdk_s3::types::EncodingType;
use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::percent_decode_str;

use super::{Bucket, LIST};
use crate::error::Result;
use crate::layout::{self, Skipped};

/// What a listing found.
#[derive(Debug, Default)]
pub struct Listed {
    /// The objects, by key.
    pub objects: Vec<ObjectMeta>,
    /// Where only one level was listed, the folders of it.
    pub folders: Vec<Path>,
    /// Keys that were left out.
    pub skipped: Skipped,
}

impl Bucket {
    /// Whether any key begins with a slash.
    pub async fn begins_with_slash(&self) -> Result<bool> {
        let first = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix("/")
            .max_keys(1)
            .set_request_payer(self.request_payer())
            .send();
        let first = self.runtime.run(first).await;
        let first = first.map_err(|error| self.failed(LIST, "", &error))?;
        Ok(first.contents.is_some_and(|contents| !contents.is_empty()))
    }

    /// The objects below a folder, or only those of its first level.
    pub async fn list(&self, folder: &str, one_level: bool) -> Result<Listed> {
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let mut listed = Listed::default();
        let mut next = None;
        loop {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.name)
                .prefix(&prefix)
                .set_delimiter(one_level.then(|| "/".to_owned()))
                // XML can't hold every character that a key can.
                .encoding_type(EncodingType::Url)
                .set_continuation_token(next)
                .set_request_payer(self.request_payer())
                .send();
            let page = self.runtime.run(page).await;
            let page = page.map_err(|error| self.failed(LIST, folder, &error))?;
            let is_encoded = page.encoding_type == Some(EncodingType::Url);
            for object in page.contents.unwrap_or_default() {
                let key = decoded(object.key.unwrap_or_default(), is_encoded);
                let Some(location) = layout::path_of_key(&key) else {
                    listed.skipped.add(&key);
                    continue;
                };
                let modified = object.last_modified.map_or(0, |at| at.secs());
                listed.objects.push(ObjectMeta {
                    location,
                    last_modified: DateTime::from_timestamp(modified, 0).unwrap_or_default(),
                    size: object.size.unwrap_or(0).unsigned_abs(),
                    e_tag: object.e_tag,
                    version: None,
                });
            }
            for folder in page.common_prefixes.unwrap_or_default() {
                let key = decoded(folder.prefix.unwrap_or_default(), is_encoded);
                // What is in a folder that no path can name is skipped with it.
                match layout::path_of_key(key.strip_suffix('/').unwrap_or(&key)) {
                    Some(folder) => listed.folders.push(folder),
                    None => listed.skipped.add(&key),
                }
            }
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(listed);
            }
        }
    }
}

/// A key as it is. A server that does not know the encoding sends keys as they are.
fn decoded(key: String, is_encoded: bool) -> String {
    match is_encoded {
        false => key,
        true => {
            let spaced = key.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
            decoded.into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        let encoded = "exports//a+b%2Bc%2F%5B%24LATEST%5D%01%ED%95%9C.gz";
        assert_eq!(
            decoded(encoded.to_owned(), true),
            "exports//a b+c/[$LATEST]\u{1}한.gz"
        );
        assert_eq!(decoded("a+b%41".to_owned(), false), "a+b%41");
    }
}
