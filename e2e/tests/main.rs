//! One file per promise, against real databases, browsers and processes. They share a binary, since each
//! one would link all of them.

mod a_primary_is_demoted;
mod a_server_comes_back;
mod a_user_of_few_rights;
mod an_existing_table;
mod an_existing_table_is_looked_at;
mod an_existing_table_keeps_its_rows;
mod axum_login_in_a_browser;
mod behind_pgbouncer;
mod browser_memory;
mod browser_truth;
mod databases_by_tls;
mod ended_sessions_after_faults;
mod ended_sessions_are_followed;
mod ended_sessions_in_sql;
mod every_column_type;
mod every_store_keeps_its_promises;
mod existing_tables_use_an_index;
mod first_starts;
mod forced_logout;
mod grpc_web;
mod in_a_browser;
mod isolation_of_the_database;
mod revocations_use_an_index;
mod rows_that_are_kept;
mod session_stores;
mod sessions_in_redis;
mod sessions_of_tower_sessions;
mod statements_by_hand;
mod the_descriptions;
mod the_example_server;
mod the_gateway;
mod the_other_examples;
mod under_faults;
mod what_a_rotation_takes;
