-- The requests of each path of an API: names that share their beginnings.
SELECT
  '/api/v1/' || area || CASE WHEN n % 4 = 0 THEN '' ELSE '/{id}/' || action END AS path,
  CAST(9000 / n + 40 * ((n * 7) % 11) AS BIGINT) AS requests
FROM (VALUES
  (1, 'products', 'reviews'), (2, 'products', 'recommendations'), (3, 'products', 'availability'),
  (4, 'product-categories', ''), (5, 'product-categories', 'filters'), (6, 'carts', 'line-items'),
  (7, 'carts', 'promotions'), (8, 'carts', ''), (9, 'orders', 'shipments'), (10, 'orders', 'invoices'),
  (11, 'orders', 'refund-requests'), (12, 'orders', ''), (13, 'customers', 'shipping-addresses'),
  (14, 'customers', 'billing-addresses'), (15, 'customers', 'notification-preferences'),
  (16, 'customers', ''), (17, 'payments', 'captures'), (18, 'payments', 'authorisations'),
  (19, 'payments', 'webhook-deliveries'), (20, 'payments', '')
) AS paths(n, area, action)
ORDER BY requests DESC
