//! The builder of the layer: the defaults and the checks of the settings.

mod csrf;
#[cfg(feature = "ended")]
mod ended;
mod observe;
mod reply;
mod route;
mod timeout;
mod token;

pub(crate) use self::timeout::Limits;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::cookies::AuthCookies;
use crate::csrf::{Csrf, RequireJson};
use crate::detach::InFlight;
#[cfg(feature = "ended")]
use crate::ended::EndedSessions;
use crate::error::ConfigError;
use crate::layer::LogoutLayer;
use crate::observe::OnOutcome;
use crate::reply::{Answer, Json, Negotiated, Redirect, Reply};
use crate::route::{Action, DEFAULT_PATH, Route, check_path};
use crate::service::Config;
use crate::store::{Scope, TokenStore};
use crate::token::{Sources, TokenSettings};

/// Builder of a [`LogoutLayer`]. Created by [`LogoutLayer::builder`].
#[must_use]
pub struct LogoutLayerBuilder<T> {
    store: T,
    /// The first route is the one of `path`.
    routes: Vec<(String, Action<T>)>,
    public_prefix: String,
    also_delete: bool,
    cookies: AuthCookies,
    tokens: TokenSettings,
    require_token: bool,
    csrf: Csrf,
    reply: Box<dyn Reply>,
    forms: Option<Redirect>,
    clear_site_data: Option<HeaderValue>,
    clear_on_failure: bool,
    on_outcome: Option<OnOutcome>,
    #[cfg(feature = "ended")]
    ended: Option<EndedSessions>,
    limits: Limits,
}

impl<T> fmt::Debug for LogoutLayerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.routes.iter().map(|(path, _)| path).collect();
        f.debug_struct("LogoutLayerBuilder")
            .field("paths", &paths)
            .field("token_sources", &self.tokens.sources)
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
            also_delete: false,
            cookies: AuthCookies::default(),
            tokens: TokenSettings::default(),
            require_token: false,
            csrf: Csrf {
                json: RequireJson::UnlessSameOrigin,
                grpc: false,
                forms: false,
                origin: None,
            },
            reply: Box::new(Json::default()),
            forms: None,
            clear_site_data: None,
            clear_on_failure: false,
            on_outcome: None,
            #[cfg(feature = "ended")]
            ended: None,
            limits: Limits::default(),
        }
    }

    /// Checks the settings and creates the layer.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::InvalidPath`] if no request can have one of the paths.
    /// - [`ConfigError::DuplicatePath`] if two logouts have the same path.
    /// - [`ConfigError::CookieNotSent`] if the `Path` of a cookie with a token does not cover one of
    ///   the paths.
    /// - [`ConfigError::NoCsrfProof`] if [`require_json`](Self::require_json) is off and there is no
    ///   [`origin_check`](Self::origin_check).
    pub fn build(self) -> Result<LogoutLayer<T>, ConfigError> {
        if self.csrf.json == RequireJson::Never && self.csrf.origin.is_none() {
            return Err(ConfigError::NoCsrfProof);
        }
        for (index, (path, action)) in self.routes.iter().enumerate() {
            check_path(path)?;
            if self.routes[..index].iter().any(|(other, _)| other == path) {
                return Err(ConfigError::DuplicatePath { path: path.clone() });
            }
            let public = format!("{}{path}", self.public_prefix);
            check_path(&public)?;
            // A client of a further path may have its token elsewhere, for example in gRPC metadata.
            let is_for_others =
                index > 0 && action.scope == Scope::This && !self.tokens.sources.is_empty();
            if !is_for_others {
                self.cookies.reach(&public, self.tokens.access_cookie)?;
            }
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
            also_delete: self.also_delete,
            csrf: self.csrf,
            sources: Sources::new(self.tokens, &self.cookies),
            require_token: self.require_token,
            store: self.store,
            answer: Arc::new(Answer {
                reply,
                removals: self.cookies.removals().into(),
                clear_site_data: self.clear_site_data,
                clear_on_failure: self.clear_on_failure,
            }),
            on_outcome: self.on_outcome,
            #[cfg(feature = "ended")]
            ended: self.ended,
            in_flight: Arc::new(InFlight::new(self.limits)),
        })
    }
}
