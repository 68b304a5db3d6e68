// What the app shows of the patient in context, and nothing once it is let in no more.

const place = (id) => document.getElementById(id);

async function show(client) {
  place("born").textContent = place("said").textContent = "";
  place("weights").replaceChildren();
  const patient = await client.patient.read();
  const found = await client.patient.request("Observation?code=http://loinc.org|29463-7", { flat: true, pageLimit: 0 });
  place("born").textContent = `Born ${patient.birthDate}`;
  for (const each of found) {
    const line = document.createElement("li");
    line.textContent = `${each.valueQuantity.value} ${each.valueQuantity.unit}`;
    place("weights").append(line);
  }
  place("said").textContent = `${found.length} weights, for ${client.user.resourceType}`;
}

function tell(error) {
  place("said").textContent = `Cannot show anything: ${error.message.split("\n")[0]}`;
}

FHIR.oauth2.ready().then((client) => {
  place("again").addEventListener("click", () => show(client).catch(tell));
  return show(client);
}).catch(tell);
