//! The builder of the layer: the defaults and the checks of the settings.

mod csrf;
mod observe;
mod reply;
mod route;
#[cfg(feature = "tokio")]
mod timeout;
mod token;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::cookies::AuthCookies;
use crate::csrf::Csrf;
use crate::detach::InFlight;
use crate::error::ConfigError;
use crate::layer::LogoutLayer;
use crate::observe::OnOutcome;
use crate::reply::{Answer, Json, Negotiated, Redirect, Reply};
use crate::route::{Action, DEFAULT_PATH, Route, check_path};
use crate::service::Config;
use crate::store::TokenStore;
use crate::token::{Bounds, Sources, TokenSource};

/// Builder of a [`LogoutLayer`]. Created by [`LogoutLayer::builder`].
#[must_use]
pub struct LogoutLayerBuilder<T> {
    store: T,
    /// The first route is the one of `path`.
    routes: Vec<(String, Action<T>)>,
    public_prefix: String,
    token_sources: Vec<TokenSource>,
    cookies: AuthCookies,
    bounds: Bounds,
    csrf: Csrf,
    reply: Box<dyn Reply>,
    forms: Option<Redirect>,
    clear_site_data: Option<HeaderValue>,
    clear_on_failure: bool,
    on_outcome: Option<OnOutcome>,
    in_flight: InFlight,
}

impl<T> fmt::Debug for LogoutLayerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.routes.iter().map(|(path, _)| path).collect();
        f.debug_struct("LogoutLayerBuilder")
            .field("paths", &paths)
            .field("token_sources", &self.token_sources)
            .field("cookies", &self.cookies)
            .field("csrf", &self.csrf)
            .field("clear_on_failure", &self.clear_on_failure)
            .finish_non_exhaustive()
    }
}

impl<T: TokenStore> LogoutLayerBuilder<T> {
    pub(crate) fn new(store: T) -> Self {
        Self {
            store,
            routes: vec![(DEFAULT_PATH.into(), Action::this())],
            public_prefix: String::new(),
            token_sources: Vec::new(),
            cookies: AuthCookies::default(),
            bounds: Bounds::default(),
            csrf: Csrf {
                require_json: true,
                grpc: false,
                forms: false,
                origin: None,
            },
            reply: Box::new(Json::default()),
            forms: None,
            clear_site_data: None,
            clear_on_failure: false,
            on_outcome: None,
            in_flight: InFlight::new(),
        }
    }

    /// Checks the settings and creates the layer.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::InvalidPath`] if no request can have one of the paths.
    /// - [`ConfigError::DuplicatePath`] if two logouts have the same path.
    /// - [`ConfigError::RefreshCookieNotSent`] if the `Path` of a refresh cookie does not cover one of the
    ///   paths.
    /// - [`ConfigError::NoCsrfProof`] if [`require_json`](Self::require_json) is off and there is no
    ///   [`origin_check`](Self::origin_check).
    pub fn build(self) -> Result<LogoutLayer<T>, ConfigError> {
        if !self.csrf.require_json && self.csrf.origin.is_none() {
            return Err(ConfigError::NoCsrfProof);
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

    pub(crate) fn assemble(self) -> LogoutLayer<T> {
        let reply = if self.csrf.grpc || self.forms.is_some() {
            Box::new(Negotiated {
                grpc: self.csrf.grpc,
                forms: self.forms,
                otherwise: self.reply,
            })
        } else {
            self.reply
        };
        let routes = self.routes.iter();
        LogoutLayer::new_with(Config {
            routes: routes
                .map(|(path, action)| Route::new(path, *action))
                .collect(),
            csrf: self.csrf,
            sources: Sources::new(self.token_sources, &self.cookies, self.bounds),
            store: self.store,
            answer: Arc::new(Answer {
                reply,
                removals: self.cookies.removals().into(),
                clear_site_data: self.clear_site_data,
                clear_on_failure: self.clear_on_failure,
            }),
            on_outcome: self.on_outcome,
            in_flight: Arc::new(self.in_flight),
        })
    }
}
