//! The routes: which requests are a logout, and with which scope.

use futures_util::future::BoxFuture;
use http::{Method, Request, Uri};
use smallvec::SmallVec;

use crate::error::ConfigError;
use crate::revoke::{Revoked, revoke_subjects};
use crate::store::{Scope, SubjectStore, TokenStore};
use crate::token::Token;

/// The path of the default logout.
pub(crate) const DEFAULT_PATH: &str = "/auth/logout";

/// The store call of a logout.
pub(crate) struct Action<T> {
    pub(crate) scope: Scope,
    /// Revokes the sessions of the subjects, if the scope is wider than one session. A function pointer,
    /// because only a `SubjectStore` can do so.
    pub(crate) revoke_subjects: Option<RevokeSubjects<T>>,
}

type RevokeSubjects<T> =
    for<'a> fn(&'a T, &'a [Token], Scope, &'a mut Revoked) -> BoxFuture<'a, ()>;

impl<T> Clone for Action<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Action<T> {}

impl<T: TokenStore> Action<T> {
    pub(crate) fn this() -> Self {
        Self {
            scope: Scope::This,
            revoke_subjects: None,
        }
    }
}

impl<T: SubjectStore> Action<T> {
    pub(crate) fn new(scope: Scope) -> Self {
        match scope {
            Scope::This => Self::this(),
            Scope::Others | Scope::All => Self {
                scope,
                revoke_subjects: Some(|store, tokens, scope, revoked| {
                    Box::pin(revoke_subjects(store, tokens, scope, revoked))
                }),
            },
        }
    }
}

/// A path whose `POST` requests are logouts.
pub(crate) struct Route<T> {
    path: Box<str>,
    pub(crate) action: Action<T>,
}

impl<T> Route<T> {
    pub(crate) fn new(path: &str, action: Action<T>) -> Self {
        Self {
            path: path.into(),
            action,
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Compares the method first, because most requests are not a `POST`.
    #[inline]
    pub(crate) fn find<'r, B>(
        routes: &'r SmallVec<[Self; 1]>,
        also_delete: bool,
        request: &Request<B>,
    ) -> Option<&'r Action<T>> {
        if !is_logout_method(request.method(), also_delete) {
            return None;
        }
        Self::at(routes, request.uri())
    }

    /// Compares the raw path byte by byte, without the query. A normalized path could differ from the path
    /// that a proxy or a router sees (CVE-2021-29492).
    // Not inlined, so that requests with other methods do not pay for the comparison.
    #[inline(never)]
    fn at<'r>(routes: &'r SmallVec<[Self; 1]>, uri: &Uri) -> Option<&'r Action<T>> {
        let path = uri.path();
        let route = routes.iter().find(|route| *route.path == *path)?;
        Some(&route.action)
    }
}

#[inline]
pub(crate) fn is_logout_method(method: &Method, also_delete: bool) -> bool {
    *method == Method::POST || (also_delete && *method == Method::DELETE)
}

/// Accepts only a path that a client can write on the request line in exactly this form.
pub(crate) fn check_path(path: &str) -> Result<(), ConfigError> {
    let literal = path.starts_with('/')
        && path
            .parse::<Uri>()
            .is_ok_and(|uri| uri.authority().is_none() && uri.path() == path);
    if literal {
        Ok(())
    } else {
        Err(ConfigError::InvalidPath { path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_no_request_can_have_are_rejected() {
        for path in [
            "",
            "auth/logout",
            "/auth/logout?now",
            "/auth#logout",
            "/a b",
            "http://example.com/auth/logout",
            "/line\r\nbreak",
            "*",
        ] {
            assert!(
                matches!(check_path(path), Err(ConfigError::InvalidPath { .. })),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_post_to_the_exact_path_matches() {
        let routes = SmallVec::from_vec(vec![
            Route::<()>::new(DEFAULT_PATH, NOTHING),
            Route::new("/auth/logout-all", NOTHING),
        ]);
        let find = |also_delete, method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri).body(());
            Route::find(&routes, also_delete, &request.unwrap()).is_some()
        };
        let matches = |method, uri| find(false, method, uri);
        assert!(matches("POST", "/auth/logout"));
        assert!(matches("POST", "/auth/logout-all"));
        assert!(matches("POST", "/auth/logout?next=/"));
        assert!(matches("POST", "https://example.com/auth/logout"));
        assert!(!matches("GET", "/auth/logout"));
        assert!(!matches("POST", "/auth/logout/"));
        assert!(!matches("POST", "/AUTH/logout"));
        assert!(!matches("DELETE", "/auth/logout"));
        assert!(find(true, "DELETE", "/auth/logout"));
        assert!(find(true, "POST", "/auth/logout"));
        assert!(!find(true, "GET", "/auth/logout"));
        assert!(!find(true, "DELETE", "/auth"));
    }

    const NOTHING: Action<()> = Action {
        scope: Scope::This,
        revoke_subjects: None,
    };
}
