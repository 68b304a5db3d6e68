// Launched by an EHR, which then says where its server is; else by the person, at the server that this app knows.

const launched = new URLSearchParams(location.search).has("launch");
FHIR.oauth2.authorize({
  clientId: settings.clientId,
  redirectUri: "/index.html",
  scope: `openid fhirUser ${launched ? "launch" : "launch/patient"} patient/Patient.rs patient/Observation.rs`,
  pkceMode: "required",
  ...(launched ? {} : { iss: settings.iss }),
});
