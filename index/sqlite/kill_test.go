package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"sluice/index"
	"sluice/internal/testkit"
)

// childPath makes this test binary insert batches into that database until it is killed.
// It prints a line for each that is stored.
const childPath = "SLUICE_TEST_INDEX_PATH"

// The rows that children insert, all of them the same.
const (
	childRows  = 1500
	childBatch = 10
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := runChild(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runChild(path string) error {
	s, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	rows := messages(childRows, 20)
	for i := 0; i < len(rows); i += childBatch {
		_, err := s.Insert(context.Background(), rows[i:i+childBatch])
		if err != nil {
			return err
		}
		fmt.Println(i + childBatch)
	}
	return s.Close()
}

// TestKilled kills processes that insert, two at a time. What one has said to be stored is
// there, each row once, and the file is whole.
func TestKilled(t *testing.T) {
	s := openNew(t)
	rows := messages(childRows, 20)
	for kill := 5; kill <= 25; kill += 10 {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if done := killAfter(t, s.path, kill); done < kill*childBatch {
					t.Errorf("%d rows were inserted before the kill", done)
				} else {
					mustHave(t, s, rows[:done])
				}
			})
		}
		both.Wait()
		checkIntegrity(t, s)
	}
	// The last one is not killed.
	if done := killAfter(t, s.path, childRows); done != childRows {
		t.Errorf("%d rows", done)
	}
	mustCount(t, s, childRows)
	mustHave(t, s, rows)
}

// mustHave wants the rows to be there and to be found by what they alone have.
func mustHave(t *testing.T, s *Store, rows []*index.Message) {
	for i, m := range rows {
		if i%10 > 0 && len(rows)-i > childBatch {
			continue // one of ten, and the last batch
		}
		page, err := s.Find(context.Background(), &index.Query{Limit: 2, Terms: []string{"m:" + m.Header.MessageID}})
		if err != nil || len(page.Messages) != 1 || page.Messages[0].ID != m.ID {
			t.Errorf("row %d: %d found, %v", i, len(page.Messages), err)
		}
	}
}

// killAfter starts a process that inserts, kills it after so many batches, and returns
// the number of rows that it has stored.
func killAfter(t *testing.T, path string, batches int) (rows int) {
	child := exec.CommandContext(testkit.Deadline(t), os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Error(err)
		return 0
	}
	if err := child.Start(); err != nil {
		t.Error(err)
		return 0
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < batches && lines.Scan(); n++ {
		if _, err := fmt.Sscan(lines.Text(), &rows); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
	}
	if rows < childRows {
		_ = child.Process.Kill()
	}
	_ = child.Wait()
	return rows
}
