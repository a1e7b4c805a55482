// How often is an image added whose answer was lost? A client that tries again, for `imagestore-sim explore --client`.
//
// It adds one image, and looks how many there are afterwards. Its exit status is 1 if it believes that it has added
// one, and there is another number of them. With -fixed it chooses the uuid of the image itself: then an attempt whose
// answer was lost is found again, and not made a second time.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	attempts = 4
	pause    = time.Second // between two attempts, and between two polls of a job
	patience = 5 * time.Second
	name     = "debian"
)

// errRefused is an answer of the node which says that it has not done what it was asked for.
var errRefused = errors.New("refused")

func main() {
	fixed := flag.Bool("fixed", false, "choose the uuid of the image")
	flag.Parse()
	client := &client{
		url:  os.Getenv("IMAGESTORE_LAB_URL") + "/zstack/v1",
		http: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}},
		now:  time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), // when the lab's time begins
	}
	if err := client.logIn(); err != nil {
		fmt.Println("no login:", err)
		return
	}
	added := client.addImage(*fixed)
	client.sleep(5 * time.Minute) // whatever is wrong is over then
	found, err := client.count()
	fmt.Printf("added: %v, found: %d, %v\n", added, found, err)
	if added == nil && err == nil && found != 1 {
		fmt.Printf("it believes that it has added one image: there are %d\n", found)
		os.Exit(1)
	}
}

type client struct {
	url     string
	http    *http.Client
	session string
	now     time.Time // of the lab: it moves on when the client sleeps
}

func (client *client) sleep(duration time.Duration) { client.now = client.now.Add(duration) }

// again calls work until it succeeds or the node refuses it.
func (client *client) again(work func() error) error {
	err := work()
	for try := 1; err != nil && !errors.Is(err, errRefused) && try < attempts; try++ {
		client.sleep(pause)
		err = work()
	}
	return err
}

func (client *client) logIn() error {
	hash := sha512.Sum512([]byte("password"))
	body := object{"logInByAccount": object{"accountName": "admin", "password": hex.EncodeToString(hash[:])}}
	return client.again(func() error {
		answer, err := client.call(http.MethodPut, "/accounts/login", body)
		if err == nil {
			client.session = answer.Inventory.UUID
		}
		return err
	})
}

// addImage adds the image to the first storage.
func (client *client) addImage(fixed bool) error {
	storages, err := client.query("/backup-storage/image-store?sort=%2Buuid&limit=1")
	if err != nil || len(storages) == 0 {
		return errors.Join(errors.New("no storage"), err)
	}
	image := object{"name": name, "url": "http://images/debian", "format": "qcow2", "backupStorageUuids": []string{storages[0].UUID}}
	if fixed {
		image["resourceUuid"] = newUUID()
	}
	return client.again(func() error {
		if fixed { // an attempt before may have done it
			if found, err := client.query("/images/" + image["resourceUuid"].(string)); err != nil || len(found) == 1 {
				return err
			}
		}
		_, err := client.call(http.MethodPost, "/images", object{"params": image})
		return err
	})
}

func (client *client) count() (int, error) {
	found, err := client.query("/images?q=name=" + name)
	return len(found), err
}

func (client *client) query(path string) ([]inventory, error) {
	var answer answer
	err := client.again(func() (err error) {
		answer, err = client.call(http.MethodGet, path, nil)
		return err
	})
	return answer.Inventories, err
}

type object map[string]any

type inventory struct{ UUID string }

type answer struct {
	Location    string
	Inventory   inventory
	Inventories []inventory
	Error       json.RawMessage
}

// call sends a request, follows its job, and returns the last answer.
func (client *client) call(method, path string, body object) (answer, error) {
	status, result, err := client.send(method, client.url+path, body)
	for err == nil && status == http.StatusAccepted {
		client.sleep(pause)
		status, result, err = client.send(http.MethodGet, result.Location, nil)
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w: %d %s", errRefused, status, result.Error)
	}
	return result, err
}

func (client *client) send(method, url string, body object) (int, answer, error) {
	var content io.Reader
	if body != nil {
		text, _ := json.Marshal(body)
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, url, content)
	if err != nil {
		return 0, answer{}, err
	}
	request.Header.Set("X-Lab-Time", client.now.Format(time.RFC3339Nano)) // the lab catches up with it
	request.Header.Set("Content-Type", "application/json")
	if client.session != "" {
		request.Header.Set("Authorization", "OAuth "+client.session)
	}
	response, err := client.http.Do(request)
	if err != nil {
		return 0, answer{}, err
	}
	defer response.Body.Close()
	var result answer
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		return 0, answer{}, err // a proxy's page, or a part of an answer
	}
	return response.StatusCode, result, nil
}

func newUUID() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:])
	bits[6], bits[8] = bits[6]&0x0f|0x40, bits[8]&0x3f|0x80 // version 4: ZStack takes no other
	return hex.EncodeToString(bits[:])
}
