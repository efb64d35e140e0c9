//! The builder of the layer: its defaults, and what it makes of its settings.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::time::Duration;

use http::HeaderValue;
use smallvec::SmallVec;

use super::LogoutLayer;
use crate::credential::{Bounds, CookieReader, Source, Sources};
use crate::csrf::Csrf;
use crate::observe::Hook;
use crate::reply::{Answer, ByClient, Json, Redirect, Reply};
use crate::route::{Action, DEFAULT_PATH, Route, check_path};
use crate::runtime::Background;
use crate::service::Config;
use crate::{AuthCookies, ConfigError, CookieFormat, TokenStore};

mod answers;
mod credentials;
mod operation;
mod paths;
mod proof;

#[cfg(feature = "tokio")]
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);
#[cfg(feature = "tokio")]
const DEFAULT_DETACHED_TIMEOUT: Duration = Duration::from_secs(30);
#[cfg(feature = "tokio")]
const DEFAULT_MAX_IN_FLIGHT: usize = 1024;

/// Configures a [`LogoutLayer`]. Made by [`LogoutLayer::builder`].
#[must_use]
pub struct LogoutLayerBuilder<T> {
    store: T,
    /// The main one first.
    routes: Vec<(String, Action<T>)>,
    public_prefix: String,
    headers: Vec<Source>,
    cookies: AuthCookies,
    cookie_format: CookieFormat,
    bounds: Bounds,
    csrf: Csrf,
    reply: Option<Box<dyn Reply>>,
    forms: Option<Redirect>,
    clear_site_data: Option<HeaderValue>,
    clear_on_failure: bool,
    hook: Option<Hook>,
    #[cfg(feature = "tokio")]
    deadline: Duration,
    #[cfg(feature = "tokio")]
    detached_timeout: Duration,
    #[cfg(feature = "tokio")]
    max_in_flight: usize,
    /// What a setter could not take.
    refused: Option<ConfigError>,
}

impl<T> fmt::Debug for LogoutLayerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutLayerBuilder")
            .field(
                "paths",
                &self.routes.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            )
            .field("headers", &self.headers)
            .field("cookies", &self.cookies)
            .field("cookie_format", &self.cookie_format)
            .field("csrf", &self.csrf)
            .field("clear_on_failure", &self.clear_on_failure)
            .finish_non_exhaustive()
    }
}

impl<T: TokenStore> LogoutLayerBuilder<T> {
    pub(super) fn new(store: T) -> Self {
        Self {
            store,
            routes: vec![(DEFAULT_PATH.into(), Action::this())],
            public_prefix: String::new(),
            headers: Vec::new(),
            cookies: AuthCookies::default(),
            cookie_format: CookieFormat::default(),
            bounds: Bounds::default(),
            csrf: Csrf {
                require_json: true,
                grpc: false,
                forms: false,
                origin: None,
            },
            reply: None,
            forms: None,
            clear_site_data: None,
            clear_on_failure: false,
            hook: None,
            #[cfg(feature = "tokio")]
            deadline: DEFAULT_DEADLINE,
            #[cfg(feature = "tokio")]
            detached_timeout: DEFAULT_DETACHED_TIMEOUT,
            #[cfg(feature = "tokio")]
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            refused: None,
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] of a setter, [`ConfigError::InvalidPath`] for a path that no request can have,
    /// [`ConfigError::DuplicatePath`] for two routes with one path, and
    /// [`ConfigError::RefreshCookieNotSent`] if the `Path` of a refresh cookie does not cover one.
    pub fn build(self) -> Result<LogoutLayer<T>, ConfigError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        for (index, (path, _)) in self.routes.iter().enumerate() {
            check_path(path)?;
            if self.routes[..index].iter().any(|(other, _)| other == path) {
                return Err(ConfigError::DuplicatePath { path: path.clone() });
            }
            let public = format!("{}{path}", self.public_prefix);
            check_path(&public)?;
            self.cookies.reach(&public)?;
        }
        Ok(self.assemble())
    }

    pub(super) fn assemble(self) -> LogoutLayer<T> {
        let other = match self.reply {
            reply if !self.csrf.grpc && !self.csrf.forms => reply,
            reply => Some(Box::new(ByClient {
                grpc: self.csrf.grpc,
                forms: self.forms,
                otherwise: reply.unwrap_or_else(|| Box::new(Json::default())),
            }) as Box<dyn Reply>),
        };
        let routes = self
            .routes
            .iter()
            .map(|(path, action)| Route::new(path, *action));
        LogoutLayer {
            config: Arc::new(Config {
                routes: routes.collect(),
                csrf: self.csrf,
                sources: Sources {
                    headers: self.headers,
                    cookies: readers(&self.cookies, &self.cookie_format),
                    bounds: self.bounds,
                },
                store: self.store,
                answer: Arc::new(Answer {
                    json: Json::default(),
                    other,
                    removals: self.cookies.removals().into(),
                    clear_site_data: self.clear_site_data,
                    clear_on_failure: self.clear_on_failure,
                }),
                hook: self.hook,
                #[cfg(feature = "tokio")]
                background: Arc::new(Background::new(
                    self.deadline,
                    self.detached_timeout,
                    self.max_in_flight,
                )),
                #[cfg(not(feature = "tokio"))]
                background: Arc::new(Background),
            }),
        }
    }

    /// An error of a setter surfaces when the layer is built.
    fn refuse(&mut self, error: ConfigError) {
        self.refused.get_or_insert(error);
    }
}

/// A cookie of an older name may be from before its values were sealed: it is read in clear as well.
fn readers(cookies: &AuthCookies, format: &CookieFormat) -> SmallVec<[CookieReader; 1]> {
    let mut readers = SmallVec::new();
    for (index, name) in cookies.refresh_names().enumerate() {
        readers.push(CookieReader::new(name, format.clone()));
        if index > 0 && !format.is_plain() {
            readers.push(CookieReader::new(name, CookieFormat::plain()));
        }
    }
    readers
}
