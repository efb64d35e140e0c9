//! What a browser is to forget besides the cookies.

use http::HeaderValue;

/// What `Clear-Site-Data` has a browser forget (W3C Clear Site Data §3.1).
///
/// There is no `"cache"`: clearing it keeps Chromium's tab waiting for many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteData {
    /// All cookies of the registrable domain, those of its other hosts included.
    Cookies,
    /// Local and session storage, indexed databases, service workers and the like of the origin.
    Storage,
    /// Reloads the origin's other tabs, in browsers that know it.
    ExecutionContexts,
    /// Pages that were fetched ahead, by speculation rules say. Chromium shows such a page after the
    /// logout as it was before, also one with `Cache-Control: no-store`.
    PrefetchCache,
    /// Pages that were rendered ahead, which Chromium shows as it does those of `PrefetchCache`.
    PrerenderCache,
}

impl SiteData {
    fn directive(self) -> &'static str {
        match self {
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
            Self::ExecutionContexts => "\"executionContexts\"",
            Self::PrefetchCache => "\"prefetchCache\"",
            Self::PrerenderCache => "\"prerenderCache\"",
        }
    }
}

pub(crate) fn clear_site_data(data: impl IntoIterator<Item = SiteData>) -> Option<HeaderValue> {
    let directives: Vec<_> = data.into_iter().map(SiteData::directive).collect();
    if directives.is_empty() {
        return None;
    }
    HeaderValue::try_from(directives.join(", ")).ok()
}
