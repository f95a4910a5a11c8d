//! AWS's configuration files, read once: the profile in use, and what its keys say of trust and logins.

use aws_config::profile::{Profile, ProfileFileLoadError, ProfileSet};

use crate::error::{Error, Result};

/// The profiles of `~/.aws/config` and `~/.aws/credentials`, or of the files that the environment names.
#[derive(Debug)]
pub(super) struct Profiles {
    set: ProfileSet,
    selected: String,
}

impl Profiles {
    /// Reads the files. `of_job` is the profile that the job names. An error (usage) where a file can't be read or the
    /// profile does not exist.
    pub(super) async fn load(of_job: Option<&str>) -> Result<Self> {
        let (system, environment) = (&Default::default(), &Default::default());
        let set = aws_config::profile::load(system, environment, &Default::default(), None)
            .await
            .map_err(|error| unreadable(&error))?;
        let selected = of_job.unwrap_or(set.selected_profile()).to_owned();
        let profiles = Self { set, selected };
        match of_job {
            Some(_) => profiles.ensure_exists("of [source]")?,
            // With keys in the environment, the profile gives no credentials. Without files, `default` may be named.
            None if profiles.selected != "default" && variable("AWS_ACCESS_KEY_ID").is_none() => {
                profiles.ensure_exists("(AWS_PROFILE)")?;
            }
            None => {}
        }
        Ok(profiles)
    }

    fn ensure_exists(&self, origin: &str) -> Result<()> {
        if self.selected().is_some() {
            return Ok(());
        }
        let mut names: Vec<&str> = self.set.profiles().collect();
        names.sort_unstable();
        let expected = match names.is_empty() {
            true => "~/.aws/config and ~/.aws/credentials, or the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name, have no profile".to_owned(),
            false => format!("expected one of {}", names.join(", ")),
        };
        Err(Error::usage(format!(
            "the AWS profile {:?} {origin} does not exist: {expected}",
            self.selected
        )))
    }

    fn selected(&self) -> Option<&Profile> {
        self.set.get_profile(&self.selected)
    }

    /// The value of a key of the profile in use.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.selected()?.get(key)
    }

    /// The name of the profile in use.
    pub(super) fn name(&self) -> &str {
        &self.selected
    }

    /// The command that logs in where the profile in use, or one that it takes credentials from, needs a login.
    pub(super) fn login(&self) -> Option<String> {
        let mut name = self.selected.as_str();
        // A chain of profiles may be a circle.
        for _ in 0..self.set.profiles().count() {
            let profile = self.set.get_profile(name)?;
            let command = if profile.get("login_session").is_some() {
                "aws login"
            } else if ["sso_session", "sso_start_url"]
                .iter()
                .any(|key| profile.get(key).is_some())
            {
                "aws sso login"
            } else {
                name = profile.get("source_profile")?;
                continue;
            };
            return Some(format!("{command} --profile {name}"));
        }
        None
    }

    /// The file of the web identity token, and where its name comes from.
    pub(super) fn web_identity_token_file(&self) -> Option<(String, &'static str)> {
        match variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
            Some(file) => Some((file, "AWS_WEB_IDENTITY_TOKEN_FILE")),
            None => {
                let file = self.get("web_identity_token_file")?;
                Some((file.to_owned(), "web_identity_token_file of the profile"))
            }
        }
    }
}

/// An environment variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn unreadable(error: &ProfileFileLoadError) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.unwrap_or_default();
    let what = with_place(&cause).unwrap_or_else(|| format!("{error}: {cause}"));
    Error::usage(format!("AWS's configuration can't be read: {what}"))
}

/// `error parsing PATH on line N:\n  MESSAGE`, which is all that the SDK tells, as `PATH:N: MESSAGE`.
fn with_place(message: &str) -> Option<String> {
    let (place, why) = message.strip_prefix("error parsing ")?.split_once(":\n")?;
    let (path, line) = place.rsplit_once(" on line ")?;
    Some(format!("{path}:{line}: {}", why.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_has_the_file_and_the_line() {
        let said = "error parsing /home/a/.aws/config on line 3:\n  Expected an '=' sign";
        assert_eq!(
            with_place(said).as_deref(),
            Some("/home/a/.aws/config:3: Expected an '=' sign")
        );
        assert_eq!(with_place("No such file or directory"), None);
    }
}
