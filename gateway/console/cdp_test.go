package console

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// browser is a headless Chromium with one page, driven over a pipe by the DevTools
// protocol.
type browser struct {
	t         *testing.T
	to        *os.File
	session   string
	downloads string // where downloads go

	ended chan struct{} // closed when it has

	mu       sync.Mutex
	last     int
	answers  map[int]chan answer
	trouble  []string          // what the console of the page said, dialogs, and violations of CSP
	finished map[string]string // downloads: the state by the suggested name
	names    map[string]string // of downloads, by their id
	loads    int
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// startBrowser starts a browser that ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := testkit.Tool(t, "chromium")
	fromTest, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(home, "profile"), "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromTest.Close()
	toTest.Close()
	b := &browser{t: t, to: to, downloads: filepath.Join(home, "downloads"), answers: map[int]chan answer{}, ended: make(chan struct{}), finished: map[string]string{}, names: map[string]string{}}
	go b.listen(from)
	t.Cleanup(func() {
		to.Close()                                          // which ends the browser
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it has many processes
		<-b.ended
		_ = cmd.Wait()
		from.Close()
		testkit.Eventually(t, "no process of the browser writes its profile", func() bool { return os.RemoveAll(home) == nil })
	})

	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	b.call("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": b.downloads, "eventsEnabled": true}, nil)
	return b
}

// listen reads what the browser says until it ends.
func (b *browser) listen(from *os.File) {
	defer close(b.ended)
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			answer
		}
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if ch := b.answers[m.ID]; m.ID != 0 && ch != nil {
			delete(b.answers, m.ID)
			ch <- m.answer
		}
		b.event(m.Method, m.Params)
		b.mu.Unlock()
	}
}

func (b *browser) event(method string, params json.RawMessage) {
	switch method {
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening":
		b.trouble = append(b.trouble, method+" "+string(params))
	case "Page.loadEventFired":
		b.loads++
	case "Browser.downloadWillBegin", "Browser.downloadProgress":
		var d struct{ GUID, SuggestedFilename, State string }
		_ = json.Unmarshal(params, &d)
		if d.SuggestedFilename != "" {
			b.names[d.GUID] = d.SuggestedFilename
		}
		b.finished[b.names[d.GUID]] = d.State
	}
}

// call calls a method of the protocol and fails the test if it fails.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	ch := make(chan answer, 1)
	b.mu.Lock()
	b.last++
	request := map[string]any{"id": b.last, "method": method}
	b.answers[b.last] = ch
	b.mu.Unlock()
	if params != nil {
		request["params"] = params
	}
	if b.session != "" && !strings.HasPrefix(method, "Browser.") {
		request["sessionId"] = b.session
	}
	raw, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(raw, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case a := <-ch:
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-b.ended:
		b.t.Fatalf("%s: the browser has ended", method)
	case <-time.After(time.Minute):
		b.t.Fatalf("%s: no answer", method)
	}
}

// loaded calls what makes the page load another, and waits until it has.
func (b *browser) loaded(what string, act func()) {
	b.t.Helper()
	b.mu.Lock()
	before := b.loads
	b.mu.Unlock()
	act()
	testkit.Eventually(b.t, what, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.loads > before
	})
}

// open goes to an address.
func (b *browser) open(address string) {
	b.t.Helper()
	b.loaded(address, func() { b.call("Page.navigate", map[string]any{"url": address}, nil) })
}

// eval returns the value of an expression of JavaScript, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &result)
	if result.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, result.ExceptionDetails)
	}
	if result.Result.Value == nil {
		return ""
	}
	return fmt.Sprint(result.Result.Value)
}

// key presses a key.
func (b *browser) key(key string) {
	b.t.Helper()
	press := map[string]any{"type": "keyDown", "key": key, "code": key}
	if len(key) == 1 {
		press["text"] = key
	}
	if key == "Enter" {
		press["text"], press["windowsVirtualKeyCode"] = "\r", 13
	}
	b.call("Input.dispatchKeyEvent", press, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key}, nil)
}

// view sets the size of the page and its color scheme.
func (b *browser) view(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// screenshot returns the page as it is seen, or all of it, in PNG.
func (b *browser) screenshot(whole bool) []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &shot)
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return image
}

// said returns what was wrong since the last call, and forgets it.
func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.trouble
	b.trouble = nil
	return list
}

// downloaded returns the bytes of a download once it is complete.
func (b *browser) downloaded(name string) string {
	b.t.Helper()
	testkit.Eventually(b.t, "download of "+name, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.finished[name] == "completed"
	})
	body, err := os.ReadFile(filepath.Join(b.downloads, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body)
}
