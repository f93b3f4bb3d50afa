package metrics

import "strconv"

// consoleCodes are the status codes that the page and the API answer with.
var consoleCodes = []string{"200", "304", "400", "401", "403", "404", "405", "421", "429", "500", "503", "504"}

// AddConsole registers the collector of the page and the API that find mail, and returns
// what counts an answer by its status.
func (m *Metrics) AddConsole() func(status int) {
	answers := m.counters("sluice_console_responses_total",
		"Answers of the page and the API that find mail, by their status code.", "code", consoleCodes)
	return func(status int) { answers.at(strconv.Itoa(status)).Inc() }
}
