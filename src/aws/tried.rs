//! Requests that are made to see whether they are allowed.

use super::logs::{ServiceError, ServiceErrorKind};

/// How a request ended that was made to see whether it is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried<T> {
    /// It is allowed, with this answer.
    Allowed(T),
    /// A policy does not allow it, or refuses it. The service's message.
    Refused(String),
    /// It failed for another reason. The service's message, or why there is none.
    Failed(String),
}

impl<T> Tried<T> {
    /// The answer, in another form.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Tried<U> {
        match self {
            Self::Allowed(answer) => Tried::Allowed(form(answer)),
            Self::Refused(message) => Tried::Refused(message),
            Self::Failed(message) => Tried::Failed(message),
        }
    }
}

impl<T> From<Result<T, ServiceError>> for Tried<T> {
    fn from(ended: Result<T, ServiceError>) -> Self {
        match ended {
            Ok(answer) => Self::Allowed(answer),
            Err(error) if error.kind == ServiceErrorKind::Refused => Self::Refused(error.message),
            Err(error) => Self::Failed(error.message),
        }
    }
}
