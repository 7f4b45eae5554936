import MySQLClient
import MySQLCore
import TestServers
import Testing

/// Who has committed what on a target: triggers on the meta schema note each takeover, and each
/// transaction of a lane with its connection, its run and its count.
///
/// The numbers of the notes are those of the order in which their transactions held the subtask's
/// rows: a takeover locks all lanes' rows before it writes its own, and a lane's first statement
/// locks its row. So a note of a run that a later takeover has replaced is a write of a fenced worker.
struct CommitAudit {
    private let trial: Trial
    private var name: String { "audit_\(trial.schema)" }

    /// Begins to note; the meta schema must be there.
    init(_ trial: Trial) throws {
        self.trial = trial
        let (name, meta) = ("audit_\(trial.schema)", trial.meta)
        try trial.target.sql(
            """
            DROP DATABASE IF EXISTS \(name);
            CREATE DATABASE \(name);
            CREATE TABLE \(name).notes (
                n BIGINT AUTO_INCREMENT PRIMARY KEY, kind CHAR(1), connection BIGINT,
                run BINARY(16), lane INT, commits BIGINT, epoch BIGINT UNSIGNED) ENGINE=InnoDB;
            CREATE TRIGGER \(meta).audit_takeovers AFTER UPDATE ON \(meta).subtask FOR EACH ROW
                INSERT INTO \(name).notes (kind, connection, run, epoch)
                SELECT 'T', CONNECTION_ID(), NEW.run, NEW.epoch FROM DUAL WHERE NEW.run <> OLD.run;
            CREATE TRIGGER \(meta).audit_commits AFTER UPDATE ON \(meta).lane FOR EACH ROW
                INSERT INTO \(name).notes (kind, connection, run, lane, commits)
                VALUES ('C', CONNECTION_ID(), NEW.run, NEW.lane, NEW.commits);
            """)
    }

    /// Every commit must be of the run that has taken over last, each lane's one after the other and
    /// over one connection, and epochs must not go back.
    ///
    /// - Returns: how many runs and commits there were.
    func check(sourceLocation: SourceLocation = #_sourceLocation) throws -> (
        runs: Int, commits: Int
    ) {
        let rows = try trial.target.connect(name).rows(
            "SELECT kind, connection, HEX(run), lane, commits, epoch FROM notes ORDER BY n")
        var run: String?
        var (epoch, runs, commits): (UInt64, Int, Int) = (0, 0, 0)
        var lanes: [String: (connection: String, commits: Int)] = [:]
        for row in rows {
            let (kind, connection, of) = (row[0] ?? "", row[1] ?? "", row[2] ?? "")
            if kind == "T" {
                let next = row[5].flatMap { UInt64($0) } ?? 0
                #expect(next >= epoch, "an epoch went back", sourceLocation: sourceLocation)
                (run, epoch, lanes) = (of, next, [:])
                runs += 1
                continue
            }
            commits += 1
            // The run that was there when the notes began has no takeover.
            guard let run else { continue }
            #expect(of == run, "a fenced run has committed", sourceLocation: sourceLocation)
            let (lane, count) = (row[3] ?? "", row[4].flatMap { Int($0) } ?? 0)
            if let last = lanes[lane] {
                #expect(
                    last.connection == connection && last.commits < count,
                    "lane \(lane) is not one connection's", sourceLocation: sourceLocation)
            }
            lanes[lane] = (connection, count)
        }
        return (runs, commits)
    }
}
