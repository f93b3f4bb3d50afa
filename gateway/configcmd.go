package main

import (
	"fmt"

	"sluice/gateway/config"
)

// check prints that the configuration is valid, its warnings, and its certificates.
func (a app) check(c *config.Config) error {
	for _, warning := range c.Warnings() {
		fmt.Fprintln(a.err, "warning:", warning)
	}
	for _, line := range c.Certificates().Describe() {
		fmt.Fprintln(a.out, "certificate", line)
	}
	name := c.File()
	if name == "" {
		name = "the default configuration"
	}
	_, err := fmt.Fprintf(a.out, "%s is valid; %d keys set\n", name, c.KeysSet())
	return err
}
