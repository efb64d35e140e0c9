//! The values of `Clear-Site-Data`.

use http::HeaderValue;

/// The kinds of data that `Clear-Site-Data` removes from a browser (W3C Clear Site Data §3.1).
///
/// Set by [`LogoutLayerBuilder::clear_site_data`](crate::builder::LogoutLayerBuilder::clear_site_data).
/// There is no `"cache"`, because clearing the cache blocks Chromium's tab for many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteData {
    /// All cookies of the registrable domain, including the cookies of its other hosts.
    Cookies,
    /// The storage of the origin, for example local storage, session storage, indexed databases and service
    /// workers.
    Storage,
    /// The open pages of the origin: browsers that support this value reload the other tabs.
    ExecutionContexts,
    /// Prefetched pages, for example by speculation rules.
    ///
    /// Without this value, Chromium still shows such a page after the logout, even with
    /// `Cache-Control: no-store`.
    PrefetchCache,
    /// Prerendered pages. Without this value, Chromium still shows such a page after the logout.
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
