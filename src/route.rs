//! Which requests are a logout.

use http::{Method, Request, Uri};

use crate::ConfigError;

/// The path of the contract.
pub(crate) const DEFAULT_PATH: &str = "/auth/logout";

/// The one path that is taken out of the stack, for `POST` only.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    path: Box<str>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.into(),
        }
    }
}

impl Route {
    /// Accepts what the request line of a client can hold as a path, to the letter.
    pub(crate) fn new(path: &str) -> Result<Self, ConfigError> {
        let literal = path.starts_with('/')
            && path
                .parse::<Uri>()
                .is_ok_and(|uri| uri.authority().is_none() && uri.path() == path);
        if literal {
            Ok(Self { path: path.into() })
        } else {
            Err(ConfigError::InvalidPath { path: path.into() })
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Compares the raw path to the letter, without the query. Normalizing it would disagree with
    /// some router or proxy in front or behind (CVE-2021-29492).
    #[inline]
    pub(crate) fn matches<B>(&self, request: &Request<B>) -> bool {
        request.method() == Method::POST && request.uri().path() == &*self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_no_request_can_have_are_refused() {
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
                matches!(Route::new(path), Err(ConfigError::InvalidPath { .. })),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_post_to_the_exact_path_matches() {
        let route = Route::new(DEFAULT_PATH).unwrap();
        let request =
            |method: &str, uri: &str| Request::builder().method(method).uri(uri).body(()).unwrap();
        assert!(route.matches(&request("POST", "/auth/logout")));
        assert!(route.matches(&request("POST", "/auth/logout?next=/")));
        assert!(route.matches(&request("POST", "https://example.com/auth/logout")));
        assert!(!route.matches(&request("GET", "/auth/logout")));
        assert!(!route.matches(&request("POST", "/auth/logout/")));
        assert!(!route.matches(&request("POST", "/AUTH/logout")));
    }
}
