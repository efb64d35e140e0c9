//! One file per promise, black box. They share a binary, since each one would link all servers.

#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

mod a_primary_is_demoted;
mod a_server_comes_back;
mod a_user_of_few_rights;
mod an_existing_table;
mod an_existing_table_is_looked_at;
mod an_existing_table_keeps_its_rows;
mod axum_placement;
mod behind_pgbouncer;
mod browser_memory;
mod browser_truth;
mod cookie_configuration;
mod databases_by_tls;
mod disconnect_deadline_panic;
mod each_session_is_named_once;
mod every_column_type;
mod every_credential_is_read;
mod every_store_keeps_its_promises;
mod existing_tables_use_an_index;
mod first_starts;
mod forced_logout;
mod grpc_clients;
mod grpc_streams;
mod grpc_web;
mod how_far_a_logout_reaches;
mod hung_stores;
mod in_a_browser;
mod isolation_of_the_database;
mod logout_contract;
mod logouts_are_counted;
mod operator_sees_the_outcome;
mod pass_through;
mod redirect_targets;
mod replies;
mod request_forgery;
mod revocations_use_an_index;
mod rows_that_are_kept;
mod sealed_cookies;
mod session_stores;
mod sessions_in_redis;
mod the_example_server;
mod the_gateway;
mod the_other_examples;
mod the_suite_catches_broken_families;
mod the_suite_catches_broken_stores;
mod through_real_sockets;
mod tokens_in_headers;
mod under_faults;
mod what_a_rotation_takes;
