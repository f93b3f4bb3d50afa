//go:build !race

package verify_test

import "sluice/gateway/verify/fields"

// hostileSize is the size of a hostile header.
const hostileSize = fields.MaxHeader - 1000
