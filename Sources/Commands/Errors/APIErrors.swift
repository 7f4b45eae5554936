internal import API

extension OperatorError {
    /// What an operator is told that a worker has refused. The codes are the API's own, described in
    /// docs/api.md.
    init(api problem: APIProblem) {
        let isMistake = problem.status == 400
        self.init(
            code: problem.code, message: problem.message,
            recovery: problem.status == 503 ? .later : .never,
            action: problem.remedy ?? (isMistake ? "correct it; nothing was changed" : ""),
            status: isMistake ? .usage : .error)
    }

    /// What an operator is told when no worker answers.
    init(client error: APIClientError) {
        switch error {
        case .unreachable:
            self.init(
                code: "api.unreachable", message: error.description, recovery: .later,
                action: "name workers that are alive by --endpoint or SKEIN_ENDPOINT")
        case .outcomeUnknown:
            self.init(
                code: "api.outcome-unknown", message: error.description, recovery: .never,
                action: "look whether the change was made, and try again if not")
        case .unreadable:
            self.init(
                code: "api.unreadable", message: error.description, recovery: .never,
                action: "check that the endpoint is a worker of Skein, of a version that fits")
        }
    }
}
