// Shows that something has changed: what came is a line for the title and one below it, the same for everybody.

self.addEventListener("push", (event) => {
  const [title, body] = (event.data ? event.data.text() : "").split("\n");
  event.waitUntil(self.registration.showNotification(title, { body, tag: "notices" }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow("/notices"));
});
