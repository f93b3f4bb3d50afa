package pressure

// Causes of shedding. They are labels of metrics and stand in log lines and
// replies, so there are no others.
const (
	CauseOpen           = "" // nothing is shed
	CauseLagRecords     = "lag_records"
	CauseLagAge         = "lag_age"
	CauseLagStale       = "lag_stale"         // no reading for too long
	CauseLagUnknown     = "lag_unknown_group" // the consumer group does not exist
	CauseBodyMemory     = "body_memory_pressure"
	CauseUploadAge      = "upload_age"
	CauseProducerBuffer = "producer_buffer"
	CauseStoreErrors    = "store_errors"
	CauseOpenFiles      = "open_files"
)

// Causes lists every cause but CauseOpen.
func Causes() []string {
	return []string{
		CauseLagRecords, CauseLagAge, CauseLagStale, CauseLagUnknown,
		CauseBodyMemory, CauseUploadAge, CauseProducerBuffer, CauseStoreErrors, CauseOpenFiles,
	}
}
