package imagestorelab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	imagestorelab "github.com/imagestore-sim/imagestore-sim/clients/go"
)

func paused(t *testing.T) *imagestorelab.Lab {
	t.Helper()
	return imagestorelab.Start(t, imagestorelab.WithClock("2000-01-01T00:00:00Z"), imagestorelab.WithSeed(1),
		imagestorelab.WithHosts(2), imagestorelab.WithPingInterval(time.Minute))
}

func TestAHostIsBrokenAndHealed(t *testing.T) {
	lab := paused(t)
	host := lab.Host("imagestore-1")
	fault := host.Break("blackhole", nil)
	lab.WaitForStatus("imagestore-1", "Disconnected", 5*time.Minute)
	fault.Heal()
	lab.WaitForStatus("imagestore-1", "Connected", 5*time.Minute)
	host.Stop()
	lab.WaitForStatus("imagestore-1", "Disconnected", 5*time.Minute)
	host.Start()
	lab.WaitForStatus("imagestore-1", "Connected", 5*time.Minute)
	fault.Heal()
	if fault.Active() {
		t.Error("the fault is active")
	}
	host.Resize("2 TiB", "")
	host.Resize("", "50%")
	if facts := host.Facts(); facts.Size != 2<<40 || facts.Used != 1<<40 || !facts.Listening {
		t.Errorf("the host: %+v", facts)
	}
	fault = host.Break("resize", imagestorelab.Params{"size": "4 TiB"})
	if !fault.Active() || fault.ID != "resize-2" {
		t.Errorf("the fault: %+v", fault)
	}
	if facts := host.Facts(); facts.Size != 4<<40 || len(facts.Faults) != 1 || facts.Faults[0] != "resize" {
		t.Errorf("the host: %+v", facts)
	}
	host.Heal()
	if facts := host.Facts(); facts.Size != 2<<40 || len(facts.Faults) != 0 {
		t.Errorf("the host: %+v", facts)
	}
	lab.Heal()
	if hosts := lab.Hosts(); len(hosts) != 2 || hosts[0].Name != "imagestore-1" {
		t.Errorf("hosts: %v", hosts)
	}
}

func TestRecordsAreSavedAndLoaded(t *testing.T) {
	lab := paused(t)
	before := lab.Snapshot()
	lab.Load(strings.ReplaceAll(before, "name: imagestore-2", "name: gold"))
	lab.WaitForStatus("gold", "Connected", 0) // it has been tried
	if !strings.Contains(lab.Snapshot(), "name: gold") {
		t.Error("the snapshot was not loaded")
	}
	lab.Reset()
	if strings.Contains(lab.Snapshot(), "name: gold") {
		t.Error("the reset kept what was loaded")
	}
}

func TestTheClockIsSet(t *testing.T) {
	clock := paused(t).Clock()
	began := clock.Now()
	before := clock.Elapsed()
	if !clock.Step(time.Hour) || !clock.Set(began.Add(8*time.Hour)) {
		t.Error("the lab did not settle")
	}
	if passed := clock.Now().Sub(began); passed != 8*time.Hour || clock.Elapsed()-before != passed {
		t.Errorf("%s passed", passed)
	}
	clock.Resume()
	if clock.Paused() {
		t.Error("the clock stands still")
	}
	clock.Pause()
}

// failureOf returns what a test that does this says as it ends.
func failureOf(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	failed := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(failed)
	}()
	<-done
	return failed.text
}

func TestAStatusIsWaitedForInTheTimeOfTheLab(t *testing.T) {
	lab := paused(t)
	var found struct{ UUID string }
	response, err := http.Get(lab.URL + "/lab/v1/storages/imagestore-1")
	if err != nil || json.NewDecoder(response.Body).Decode(&found) != nil {
		t.Fatal("no storage: ", err)
	}
	response.Body.Close()
	lab.WaitForStatus(found.UUID, "Connected", 0)
	before := lab.Clock().Elapsed()
	for _, one := range []struct{ storage, status, text string }{
		{"imagestore-1", "Gone", "'Gone' is no status: expected Connecting, Connected, Disconnected"},
		{"imagestore", "Connected", "imagestore is not there, and was not Connected within 2 s"},
		{"imagestore-1", "Disconnected", "imagestore-1 is Connected, and was not Disconnected within 2 s"},
	} {
		text := failureOf(t, func(t testing.TB) { lab.For(t).WaitForStatus(one.storage, one.status, 2*time.Second) })
		if text != "imagestorelab: "+one.text {
			t.Error(text)
		}
	}
	if passed := lab.Clock().Elapsed() - before; passed != 4*time.Second {
		t.Errorf("%s passed", passed)
	}
}

// program writes a program of the shell, and returns its path.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func command() string {
	if named := os.Getenv(imagestorelab.CommandVariable); named != "" {
		return named
	}
	return "imagestore-sim"
}

func TestALabThatDiesIsToldWithItsStatusAndItsLastWords(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	dies := program(t, "echo $$ >'"+pid+"'\nexec "+command()+" \"$@\" --log-level info")
	lab := imagestorelab.Start(t, imagestorelab.WithCommand(dies), imagestorelab.WithHosts(1))
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(lab *imagestorelab.Lab){
		"stop":   func(lab *imagestorelab.Lab) { lab.Host("imagestore-1").Stop() },
		"log in": func(lab *imagestorelab.Lab) { lab.LogIn() },
		"wait":   func(lab *imagestorelab.Lab) { lab.WaitForStatus("imagestore-1", "Disconnected", time.Minute) },
	} {
		text := failureOf(t, func(t testing.TB) { call(lab.For(t)) })
		if !strings.Contains(text, ": the lab has ended with status 137 (signal 9)\n") || !strings.Contains(text, "INFO") {
			t.Errorf("%s: %s", name, text)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		text := failureOf(t, func(t testing.TB) { lab.For(t).Reset() })
		if !strings.Contains(text, "the lab has ended with status 137") {
			t.Error(text)
		}
	})
}

func TestALabTakesItsOptionsFromTheTestAloneAndNoProxy(t *testing.T) {
	folder := t.TempDir()
	kept := filepath.Join(folder, "kept.db")
	for name, value := range map[string]string{
		"IMAGESTORE_SIM_HOSTS": "9", "IMAGESTORE_SIM_CLOCK": "paused", "IMAGESTORE_SIM_LAB_TOKEN": "secret",
		"IMAGESTORE_SIM_DATABASE": kept, "IMAGESTORE_SIM_HOST": "::1",
		"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "TMPDIR": filepath.Join(folder, "missing"),
	} {
		t.Setenv(name, value)
	}
	work := filepath.Join(folder, "a folder, große")
	if err := os.Mkdir(work, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Chdir(work)
	lab := imagestorelab.Start(t, imagestorelab.WithToken("own"))
	if hosts := len(lab.Hosts()); hosts != 3 || lab.Clock().Paused() {
		t.Errorf("the lab has %d hosts", hosts)
	}
	lab.LogIn()
	if _, err := os.Stat(kept); err == nil {
		t.Error("the lab used the database of the environment")
	}
}

func TestManyLabsRunAtOnce(t *testing.T) {
	for range 8 {
		t.Run("lab", func(t *testing.T) {
			t.Parallel()
			lab := imagestorelab.Start(t, imagestorelab.WithHosts(1), imagestorelab.WithClock("paused"))
			lab.Host("imagestore-1").Break("refuse", nil)
			lab.WaitForStatus("imagestore-1", "Disconnected", 2*time.Minute)
		})
	}
}

func TestRequestsAreFoundAndAsserted(t *testing.T) {
	lab := paused(t)
	fault := lab.BreakNode("answer_lost", nil, imagestorelab.Params{"api": "QueryZone", "first": 1})
	client := &http.Client{Transport: lab.Transport()}
	session := lab.LogIn()
	for range 2 {
		request, err := http.NewRequest(http.MethodPost, lab.URL+"/zstack/v1/zones", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "OAuth "+session)
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
		}
	}
	lab.AssertRequested(imagestorelab.Params{"method": "POST"}, imagestorelab.Exactly(2))
	lab.AssertRequested(imagestorelab.Params{"method": "DELETE"}, imagestorelab.Never())
	if logIns := lab.Requests(imagestorelab.Params{"path": "*/login"}); len(logIns) != 1 || logIns[0].Status != 200 {
		t.Errorf("log-ins: %+v", logIns)
	}
	if hits := fault.Hits(); hits != 0 {
		t.Errorf("the fault of a query met %d other requests", hits)
	}
	failed := &recorder{TB: t}
	lab.In(failed).AssertRequested(imagestorelab.Params{"path": "*/logon"}, imagestorelab.AtLeast(1))
	if !strings.Contains(failed.text, "path: expected") && !strings.Contains(failed.text, "the closest") {
		t.Errorf("the closest request is missing: %s", failed.text)
	}
}

// recorder keeps the failure of an assertion instead of failing the test.
type recorder struct {
	testing.TB
	text string
}

func (kept *recorder) Errorf(format string, arguments ...any) {
	kept.text = fmt.Sprintf(format, arguments...)
}

// Fatalf ends the goroutine, as that of a test does.
func (kept *recorder) Fatalf(format string, arguments ...any) {
	kept.Errorf(format, arguments...)
	runtime.Goexit()
}

func TestTheTimeOfABubbleIsCarried(t *testing.T) {
	for name, options := range map[string][]imagestorelab.TimeOption{
		"absolute": {imagestorelab.Absolute()}, "relative": nil,
	} {
		t.Run(name, func(t *testing.T) { sleepsEightHours(t, paused(t), options) })
	}
}

func sleepsEightHours(t *testing.T, lab *imagestorelab.Lab, options []imagestorelab.TimeOption) {
	synctest.Test(t, func(t *testing.T) {
		inside := lab.In(t, options...)
		began := inside.Clock().Now()
		time.Sleep(8 * time.Hour)
		if passed := inside.Clock().Now().Sub(began); passed != 8*time.Hour {
			t.Errorf("%s passed", passed)
		}
		inside.Host("imagestore-1").Break("refuse", nil)
		inside.WaitForStatus("imagestore-1", "Disconnected", 5*time.Minute)
		inside.Heal()
		inside.WaitForStatus("imagestore-1", "Connected", 5*time.Minute)
	})
}

func TestARunningLabIsResetAndUsed(t *testing.T) {
	running := paused(t)
	running.LogIn()
	t.Setenv(imagestorelab.URLVariable, running.URL+"/")
	lab := imagestorelab.Start(t)
	if lab.URL != running.URL {
		t.Errorf("the lab is at %s", lab.URL)
	}
	lab.AssertRequested(nil, imagestorelab.Never())
	text := failureOf(t, func(t testing.TB) { imagestorelab.Start(t, imagestorelab.WithHosts(9)) })
	if !strings.HasSuffix(text, "has 2 hosts, and the test wants 9") {
		t.Error(text)
	}
	running.Clock().Resume()
	if imagestorelab.Start(t, imagestorelab.WithHosts(2), imagestorelab.WithClock("paused")); !running.Clock().Paused() {
		t.Error("the clock runs")
	}
}

// imageVariable names the environment variable with the image to test with.
const imageVariable = "LAB_IMAGE"

func TestALabRunsInAContainer(t *testing.T) {
	image := os.Getenv(imageVariable)
	if image == "" {
		t.Skip("needs an image, named by " + imageVariable)
	}
	var address string
	t.Run("while the test lasts", func(t *testing.T) {
		lab := imagestorelab.Start(t, imagestorelab.WithImage(image), imagestorelab.WithHosts(1), imagestorelab.WithClock("paused"))
		address = lab.URL
		lab.Host("imagestore-1").Stop()
		lab.WaitForStatus("imagestore-1", "Disconnected", 2*time.Minute)
	})
	if answers(address) {
		t.Error("the container still answers")
	}
}

func TestALabThatDoesNotStartSaysWhy(t *testing.T) {
	for text, option := range map[string]imagestorelab.Option{
		"there is no folder /nowhere":                            imagestorelab.WithArguments("--database", "/nowhere/lab.db"),
		"/nowhere/imagestore-sim is not there: install it":       imagestorelab.WithCommand("/nowhere/imagestore-sim"),
		"lab: the lab ended with status 2 before it was ready\n": imagestorelab.WithZStack("0.1"),
	} {
		if said := failureOf(t, func(t testing.TB) { imagestorelab.Start(t, option) }); !strings.Contains(said, text) {
			t.Errorf("%q does not say %q", said, text)
		}
	}
}

// TestNothingIsLeftOfAProcessThatIsKilled runs itself again, and kills that process.
func TestNothingIsLeftOfAProcessThatIsKilled(t *testing.T) {
	if os.Getenv("TEST_DIES") != "" {
		fmt.Println("address " + paused(t).URL)
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	}
	again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "TEST_DIES=1")
	output, err := again.Output()
	if err == nil {
		t.Fatal("the process was not killed")
	}
	_, address, found := strings.Cut(string(output), "address ")
	if !found {
		t.Fatalf("no lab was started: %s", output)
	}
	address, _, _ = strings.Cut(address, "\n")
	for end := time.Now().Add(time.Minute); answers(address); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the lab still answers")
		}
	}
}

func answers(address string) bool {
	response, err := http.Get(address + "/lab/v1/about")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var about struct{ Version string }
	return json.NewDecoder(response.Body).Decode(&about) == nil
}
