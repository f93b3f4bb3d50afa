package adapters

import (
	"errors"

	"sluice/gateway/config"
	"sluice/pipeline/discard"
)

func discardStore(*config.Config, Deps) (*Store, error) {
	return &Store{Objects: discard.Store{}}, nil
}

func discardLog(*config.Config, Deps) (*Log, error) { return &Log{Events: discard.Log{}}, nil }

func discardReader(*config.Config) (source, error) {
	return nil, errors.New("store.kind is discard, which keeps nothing")
}
