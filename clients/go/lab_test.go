package imagestorelab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
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
	host.Resize("2 TiB", "50%")
	host.Break("refuse", nil)
	host.Heal()
	lab.Heal()
	if hosts := lab.Hosts(); len(hosts) != 2 || hosts[0].Name != "imagestore-1" {
		t.Errorf("hosts: %v", hosts)
	}
}

func TestRecordsAreSavedAndLoaded(t *testing.T) {
	lab := paused(t)
	before := lab.Snapshot()
	lab.Load(strings.ReplaceAll(before, "name: imagestore-2", "name: gold"))
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
	clock.Step(time.Hour)
	clock.Set(began.Add(8 * time.Hour))
	if passed := clock.Now().Sub(began); passed != 8*time.Hour {
		t.Errorf("%s passed", passed)
	}
	clock.Resume()
	clock.Pause()
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
		"there is no folder /nowhere": imagestorelab.WithArguments("--database", "/nowhere/lab.db"),
		"pip install imagestore-sim":  imagestorelab.WithCommand("/nowhere/imagestore-sim"),
	} {
		failed := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			imagestorelab.Start(failed, option)
		}()
		<-done
		if !strings.Contains(failed.text, text) {
			t.Errorf("%q does not say %q", failed.text, text)
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
