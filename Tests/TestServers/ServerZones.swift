extension TestServer {
    /// Loads a zone of the system's database into the server's tables, which are empty by default.
    public func loadZone(_ name: String) throws {
        let outcome = try ChildProcess.run([
            "mariadb-tzinfo-to-sql", "/usr/share/zoneinfo/" + name, name,
        ])
        guard outcome.status == 0 else {
            throw TestServerError("mariadb-tzinfo-to-sql: \(outcome.errorText)")
        }
        // What stands around them is for MariaDB with Galera alone.
        let statements = outcome.outputText.split(separator: ";\n").filter {
            $0.hasPrefix("INSERT INTO ") || $0.hasPrefix("SET @time_zone_id")
        }
        guard statements.count >= 4 else {
            throw TestServerError("mariadb-tzinfo-to-sql says nothing of \(name)")
        }
        try sql(statements.joined(separator: ";\n") + ";", database: "mysql")
    }
}
