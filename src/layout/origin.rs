//! The account and Region that logs come from, as ARNs and this program's own objects have them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The account and Region that log groups are in. A name alone does not identify a log group: another account may have
/// one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The account's id.
    pub account: String,
    /// The Region's name.
    pub region: String,
}

impl Origin {
    /// The origin in an ARN, `arn:<partition>:logs:<region>:<account>:log-group:<name>`; `None` for any other text.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':');
        let is_arn = parts.next() == Some("arn") && parts.nth(1) == Some("logs");
        let (region, account) = (parts.next()?, parts.next()?);
        (is_arn && !region.is_empty() && !account.is_empty()).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
        })
    }

    /// Whether two log groups of one name may be the same one. An unknown origin excludes nothing.
    pub fn may_be_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {} in {}", self.account, self.region)
    }
}
