//! The guide: one page per task. The pages are the files of `docs/` in the repository.

/// A page of the guide. The link targets for rustdoc come first, because Markdown uses the first of two
/// definitions.
macro_rules! page {
    ($(#[$attribute:meta])* $name:ident, $file:literal) => {
        $(#[$attribute])*
        #[doc = concat!(
            "[the endpoint]: crate::guide::endpoint\n",
            "[clients]: crate::guide::clients\n",
            "[cookies and tokens]: crate::guide::cookies_and_tokens\n",
            "[stores]: crate::guide::stores\n",
            "[operations]: crate::guide::operations\n",
            "[security]: crate::guide::security\n",
            "[access tokens]: crate::guide::access_tokens\n",
            "[browsers]: crate::guide::browsers\n",
            "[what it costs]: crate::guide::performance\n",
            "[JWT cookies, with sessions in Redis]: crate::guide::recipes::jwt_cookies_redis\n",
            "[a table of refresh tokens]: crate::guide::recipes::refresh_tokens_table\n",
            "[the recipe with sqlx]: crate::guide::recipes::refresh_tokens_table\n",
            "[in the body]: crate::guide::recipes::json_body\n",
            "[logout.proto]: https://github.com/tower-logout/tower-logout/blob/main/docs/logout.proto\n",
            "[gateway example]: https://github.com/tower-logout/tower-logout/blob/main/examples/gateway/main.rs\n",
            "[an end]: https://raw.githubusercontent.com/tower-logout/tower-logout/main/docs/images/ended-sessions.svg\n",
            "[SECURITY.md]: https://github.com/tower-logout/tower-logout/blob/main/SECURITY.md\n",
            "[axum.rs]: https://github.com/tower-logout/tower-logout/blob/main/examples/axum.rs\n",
            "[axum.js]: https://github.com/tower-logout/tower-logout/blob/main/examples/axum.js\n",
            "[own_store.rs]: https://github.com/tower-logout/tower-logout/blob/main/examples/own_store.rs\n",
            "[tower-sessions.md]: https://github.com/tower-logout/tower-logout/blob/main/docs/recipes/tower-sessions.md\n",
            "[axum_placement.rs]: https://github.com/tower-logout/tower-logout/blob/main/tests/axum_placement.rs\n",
            "[grpc_web.rs]: https://github.com/tower-logout/tower-logout/blob/main/e2e/tests/grpc_web.rs\n\n",
            include_str!(concat!("../docs/", $file, ".md")),
        )]
        pub mod $name {}
    };
}

page!(endpoint, "endpoint");
page!(placement, "placement");
page!(clients, "clients");
page!(cookies_and_tokens, "cookies-and-tokens");
page!(
    #[cfg(any(not(doctest), feature = "testing"))]
    stores,
    "stores"
);
page!(
    #[cfg(any(not(doctest), feature = "tokio"))]
    operations,
    "operations"
);
page!(
    #[cfg(any(not(doctest), feature = "ended"))]
    access_tokens,
    "access-tokens"
);
page!(security, "security");
page!(performance, "performance");
page!(browsers, "browsers");

pub mod recipes {
    //! Recipes: the whole change for one stack, on one screen.

    page!(own_session_table, "recipes/own-session-table");
    page!(jwt_cookies_redis, "recipes/jwt-cookies-redis");
    page!(
        #[cfg(not(doctest))]
        refresh_tokens_table,
        "recipes/refresh-tokens-table"
    );
    page!(
        #[cfg(not(doctest))]
        sea_orm,
        "recipes/sea-orm"
    );
    page!(
        #[cfg(not(doctest))]
        diesel,
        "recipes/diesel"
    );
    page!(
        #[cfg(not(doctest))]
        tower_sessions,
        "recipes/tower-sessions"
    );
    page!(json_body, "recipes/json-body");
    page!(grpc_and_rest, "recipes/grpc-and-rest");
    page!(gateway, "recipes/gateway");
    page!(nested_router, "recipes/nested-router");
    page!(single_page_app, "recipes/single-page-app");
    page!(bearer_clients, "recipes/bearer-clients");
    page!(log_out_everywhere, "recipes/log-out-everywhere");
    page!(links_and_forms, "recipes/links-and-forms");
    page!(curl, "recipes/curl");
}
