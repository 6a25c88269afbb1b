// Texts of the page Audit trail, which come with it, apart from those of all pages.
export default {
  'audit.via.local': 'password',
  'audit.via.token': 'token',
  'audit.via.oidc': 'sign-in of the organisation',
  'audit.via.proxy': 'proxy',
  'audit.session': 'Session {id}',
  'audit.claimed': 'for {name}',
};
