-- The fingerprint library on MySQL 8, MariaDB 10.6 or a cluster that speaks their protocol (TiDB, Vitess).
-- `speechcmp library init` runs this file; running it again changes nothing. SQLite's tables are made from it too.
--
-- To spread a large library over partitions, end `fingerprints` with
--     ) PARTITION BY KEY (hash) PARTITIONS 16;
-- before the first run, or do it later:
--     ALTER TABLE fingerprints PARTITION BY KEY (hash) PARTITIONS 16;
-- Nothing else changes: every look-up is by hash, there is no second index and no foreign key. On Vitess, shard
-- `fingerprints` by hash and keep the two small tables unsharded.

CREATE TABLE IF NOT EXISTS library (
    name VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
) DEFAULT CHARACTER SET utf8mb4;

-- state: 'whole', or 'head' when only the first duration_s seconds are fingerprinted. A recording and its
-- fingerprints come in one transaction, so no state says "unfinished".
CREATE TABLE IF NOT EXISTS recordings (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    path VARCHAR(4096) NOT NULL,
    content_sha1 BINARY(20) NOT NULL,
    duration_s DOUBLE NOT NULL,
    sample_rate INT UNSIGNED NOT NULL,
    n_hashes INT UNSIGNED NOT NULL,
    state VARCHAR(16) NOT NULL,
    added_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY content_sha1 (content_sha1)
) DEFAULT CHARACTER SET utf8mb4;

-- The rows are the index: InnoDB keeps them in the order of the primary key, and nothing else.
CREATE TABLE IF NOT EXISTS fingerprints (
    hash BINARY(10) NOT NULL,
    recording_id INT UNSIGNED NOT NULL,
    `offset` INT UNSIGNED NOT NULL,
    PRIMARY KEY (hash, recording_id, `offset`)
);

INSERT IGNORE INTO library (name, value) VALUES ('schema', '1');
