//! An answer that redirects the browser.

use http::header::{CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Uri};

use super::{Reply, ReplyBody};
use crate::error::ConfigError;
use crate::outcome::Outcome;

/// Answers a logout with a `303` to a page (RFC 9110 §15.4.4), and errors with plain text.
///
/// An error is never a redirect. Otherwise the page would confirm a logout although the session may be
/// alive.
///
/// ```
/// # use tower_logout::{LogoutLayer, Revocation, store_fn};
/// use tower_logout::csrf::OriginCheck;
/// use tower_logout::reply::Redirect;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let bye = Redirect::to("/login")?.with_return_to("return_to", ["/", "https://www.example.com/bye"])?;
/// let layer = LogoutLayer::builder(store).reply(bye).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Redirect {
    fixed: HeaderValue,
    parameter: String,
    allowed: Vec<HeaderValue>,
}

impl Redirect {
    /// Redirects to this page: a path, or an `http` or `https` URL.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidRedirect`] if a browser might read the target as another page.
    ///
    /// ```
    /// use tower_logout::reply::Redirect;
    ///
    /// assert!(Redirect::to("/login").is_ok());
    /// assert!(Redirect::to("//evil.example").is_err());
    /// ```
    pub fn to(target: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Self {
            fixed: location(target.as_ref())?,
            parameter: String::new(),
            allowed: Vec::new(),
        })
    }

    /// Lets a query parameter choose one of these pages. None by default.
    ///
    /// After percent-decoding, the value has to be exactly one of the pages. Otherwise, and if the
    /// parameter occurs more than once, the browser goes to the page of [`to`](Self::to). `Location` always
    /// has the text from the list, never text from the request.
    ///
    /// ```
    /// use tower_logout::reply::Redirect;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// Redirect::to("/login")?.with_return_to("next", ["/", "/shop"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidRedirect`] if a browser might read one of the pages as another page.
    pub fn with_return_to<I>(
        mut self,
        parameter: impl Into<String>,
        allowed: I,
    ) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.parameter = parameter.into();
        self.allowed = allowed
            .into_iter()
            .map(|target| location(target.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn target(&self, uri: &Uri) -> &HeaderValue {
        let query = uri.query().unwrap_or_default();
        let mut wanted = form_urlencoded::parse(query.as_bytes())
            .filter_map(|(name, value)| (*name == *self.parameter).then_some(value));
        match (wanted.next(), wanted.next()) {
            (Some(wanted), None) => self
                .allowed
                .iter()
                .find(|allowed| allowed.as_bytes() == wanted.as_bytes())
                .unwrap_or(&self.fixed),
            _ => &self.fixed,
        }
    }
}

impl Reply for Redirect {
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::default());
        if outcome.is_logged_out() {
            *response.status_mut() = StatusCode::SEE_OTHER;
            let target = self.target(&request.uri).clone();
            response.headers_mut().insert(LOCATION, target);
        } else {
            *response.status_mut() = outcome.status();
            *response.body_mut() = super::error_text(outcome).into();
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
        }
        response
    }
}

/// Rejects targets that look like another page than a browser reads. A browser strips tabs and line ends,
/// reads `\\` as `/`, reads a host after `//`, and ignores a user name before `@` (WHATWG URL §4.4).
fn location(target: &str) -> Result<HeaderValue, ConfigError> {
    let rejected = || ConfigError::InvalidRedirect {
        target: target.into(),
    };
    let legal = target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = target.starts_with('/') && !target.starts_with("//");
    let url = || {
        (target.starts_with("https://") || target.starts_with("http://"))
            && target.parse::<Uri>().is_ok_and(|uri| {
                uri.authority().is_some_and(|authority| {
                    !authority.host().is_empty() && !authority.as_str().contains('@')
                })
            })
    };
    if legal && (path || url()) {
        HeaderValue::try_from(target).map_err(|_| rejected())
    } else {
        Err(rejected())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_that_a_browser_might_read_as_another_one_is_rejected() {
        for target in [
            "",
            "login",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a b",
            "/a\tb",
            "/a\r\nSet-Cookie: a=b",
            "/\u{fc}",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://example.com/",
            "https:/example.com",
            "https://",
            "https:///path",
            "https://user@example.com/",
            "https://example.com\\@evil.example/",
            "HTTPS:example.com",
        ] {
            let result = Redirect::to(target);
            assert!(
                matches!(result, Err(ConfigError::InvalidRedirect { .. })),
                "{target:?}"
            );
            assert!(
                Redirect::to("/")
                    .unwrap()
                    .with_return_to("r", [target])
                    .is_err()
            );
        }
        for target in [
            "/",
            "/login?from=logout#top",
            "https://www.example.com",
            "http://localhost:3000/bye",
        ] {
            assert!(Redirect::to(target).is_ok(), "{target:?}");
        }
    }

    fn query() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => Just("return_to=".to_owned()),
            2 => Just("/bye".to_owned()),
            2 => Just("https://www.example.com/bye".to_owned()),
            1 => Just("%2Fbye".to_owned()),
            1 => Just("&".to_owned()),
            1 => Just("%".to_owned()),
            1 => Just("//".to_owned()),
            1 => Just("@".to_owned()),
            2 => "[!-~&&[^#<>\"`{}|^\\\\]]{0,12}",
            1 => "(%[0-9a-fA-F]{2}){0,6}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn whatever_is_accepted_is_on_the_list(query in query()) {
            const LISTED: [&str; 2] = ["/bye", "https://www.example.com/bye"];
            let redirect = Redirect::to("/fixed").unwrap().with_return_to("return_to", LISTED).unwrap();
            let request = Request::builder().uri(format!("/auth/logout?{query}")).body(());
            let Ok(request) = request else { return Ok(()) };
            let target = redirect.target(request.uri()).to_str().unwrap().to_owned();
            prop_assert!(target == "/fixed" || LISTED.contains(&&*target), "{}", target);
            if target != "/fixed" {
                let asked: Vec<_> = form_urlencoded::parse(query.as_bytes())
                    .filter(|(name, _)| name == "return_to")
                    .collect();
                prop_assert_eq!(asked.len(), 1);
                prop_assert_eq!(&*asked[0].1, &*target);
            }
        }
    }
}
