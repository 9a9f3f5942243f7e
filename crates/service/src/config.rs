//! Configuration from the environment: every bad variable is reported at once.

use std::{collections::HashMap, env, fmt, fs, net::SocketAddr, str::FromStr, time::Duration};

use secrecy::SecretString;

use crate::identity::ServiceKeys;

/// The variables of the process, and what was found wrong with them so far.
///
/// Every reader answers `None` after noting an error, so that a config is put together with `?` only after all its
/// variables have been read.
pub struct Environment {
    variables: HashMap<String, String>,
    errors: Vec<ConfigError>,
}

/// One variable and what is wrong with it. Values are never repeated: they may be secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// What is wrong, such as `is missing`.
    pub problem: String,
}

/// Everything that is wrong with the environment, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// What every service reads beside its own variables.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where metrics and health are served.
    pub admin_listen: SocketAddr,
    /// How long a stopping process goes on accepting calls after it has said that it is not ready.
    pub settle: Duration,
    /// The public keys of all services.
    pub service_keys: ServiceKeys,
}

impl ServiceConfig {
    /// Reads `<prefix>_ADMIN_LISTEN`, `BOOKMESH_SETTLE_MS` and `BOOKMESH_SERVICE_KEYS`.
    pub fn from_environment(environment: &mut Environment, prefix: &str) -> Option<Self> {
        let admin_listen = environment.required(&format!("{prefix}_ADMIN_LISTEN"));
        let settle_milliseconds: Option<u64> = environment.or("BOOKMESH_SETTLE_MS", 0);
        let service_keys = environment.parsed_file("BOOKMESH_SERVICE_KEYS", ServiceKeys::from_json);
        Some(Self {
            admin_listen: admin_listen?,
            settle: Duration::from_millis(settle_milliseconds?),
            service_keys: service_keys?,
        })
    }
}

impl Environment {
    /// The variables that the process was started with.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Self {
        // A variable that is no UTF-8 is kept with replacement characters: its reader then finds it bad.
        let pairs = env::vars_os().map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        });
        Self::from_pairs(pairs)
    }

    /// Variables given by a test.
    pub fn from_pairs<I, N, V>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (N, V)>,
        N: Into<String>,
        V: Into<String>,
    {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            variables,
            errors: Vec::new(),
        }
    }

    /// A variable that must be there.
    pub fn required<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.value(name) {
            Some(text) => self.parse(name, &text),
            None => self.wrong(name, "is missing"),
        }
    }

    /// A variable with a default.
    pub fn or<T>(&mut self, name: &str, default: T) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.value(name) {
            Some(text) => self.parse(name, &text),
            None => Some(default),
        }
    }

    /// A variable that may be missing; the outer `None` means that it is there and bad.
    pub fn optional<T>(&mut self, name: &str) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.value(name) {
            Some(text) => self.parse(name, &text).map(Some),
            None => Some(None),
        }
    }

    /// A variable that must be there and must never be shown.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        match self.value(name) {
            Some(text) => Some(SecretString::from(text)),
            None => self.wrong(name, "is missing"),
        }
    }

    /// The contents of the file that a variable names.
    pub fn file(&mut self, name: &str) -> Option<String> {
        let path: String = self.required(name)?;
        match fs::read_to_string(&path) {
            Ok(contents) => Some(contents),
            Err(error) => self.wrong(name, format!("names a file that cannot be read: {error}")),
        }
    }

    /// Like [`Environment::file`], with the contents parsed.
    pub fn parsed_file<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let contents = self.file(name)?;
        match parse(&contents) {
            Ok(value) => Some(value),
            Err(error) => self.wrong(name, format!("names a file with bad contents: {error}")),
        }
    }

    /// Notes that a variable breaks a rule that parsing alone does not see.
    pub fn wrong<T>(&mut self, name: &str, problem: impl Into<String>) -> Option<T> {
        self.errors.push(ConfigError {
            variable: name.to_owned(),
            problem: problem.into(),
        });
        None
    }

    /// The config, or everything that is wrong.
    pub fn finish<C>(self, config: Option<C>) -> Result<C, ConfigErrors> {
        match config {
            Some(config) if self.errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    /// An empty variable counts as missing: shells and manifests cannot always leave one out.
    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn parse<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => self.wrong(name, format!("is invalid: {error}")),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{} {}", error.variable, error.problem)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_variable_is_reported_at_once() {
        let mut environment = Environment::from_pairs([("B", "many"), ("C", ""), ("D", "/no/such/file")]);

        let missing: Option<u16> = environment.required("A");
        let bad: Option<u16> = environment.or("B", 1);
        let empty: Option<u16> = environment.required("C");
        let file = environment.file("D");
        let secret = environment.secret("E");
        let everything = missing.zip(bad).zip(empty).zip(file).zip(secret);

        let text = environment.finish(everything).unwrap_err().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "A is missing",
                "B is invalid: invalid digit found in string",
                "C is missing"
            ]
        );
        assert!(lines[3].starts_with("D names a file that cannot be read: "), "{text}");
        assert_eq!(lines[4], "E is missing");
    }

    #[test]
    fn good_variables_and_defaults_make_a_config() {
        let mut environment = Environment::from_pairs([("A", "7")]);

        let values = (
            environment.required("A"),
            environment.or("B", 8_u8),
            environment.optional::<u8>("C"),
        );
        let config = environment.finish(Some(values)).unwrap();

        assert_eq!(config, (Some(7_u8), Some(8), Some(None)));
    }

    #[test]
    fn a_secret_is_not_in_the_debug_form() {
        let mut environment = Environment::from_pairs([("A", "hunter2")]);

        let secret = environment.secret("A").unwrap();

        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn an_error_noted_after_all_still_counts() {
        let mut environment = Environment::from_pairs([("A", "7")]);

        let value: Option<u8> = environment.required("A");
        environment.wrong::<()>("A", "must be even");

        assert_eq!(environment.finish(value).unwrap_err().to_string(), "A must be even");
    }
}
